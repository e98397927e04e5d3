// SPDX-License-Identifier: MIT OR Apache-2.0
// A registry beside the escrow, a node with its owner, and the receipts and consents they sign.
pragma solidity 0.8.37;

import {INodeRegistry} from "../src/INodeRegistry.sol";
import {NodeRegistry, REGISTRATION} from "../src/NodeRegistry.sol";
import {Hashes, Receipt} from "../src/Order.sol";
import {Fixture} from "./Fixture.sol";
import {Vm} from "./Vm.sol";

abstract contract RegistryFixture is Fixture {
    struct NodeState {
        address owner;
        address payout;
        bytes32 capabilitiesHash;
        uint96 bonded;
        uint96 unbonding;
        uint40 unbondAt;
        bool slashed;
        uint64 seq;
    }

    bytes32 internal constant DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    uint256 internal constant SIGNER_KEY = 0x516;
    uint256 internal constant OTHER_KEY = 0x5162;
    uint256 internal constant DELAY = 45 days;
    uint96 internal constant BOND = 101;
    bytes32 internal constant CAN = keccak256("capabilities");

    NodeRegistry internal registry;
    address internal signer = vm.addr(SIGNER_KEY);
    address internal owner = address(0x0123);

    function setUp() public virtual override {
        super.setUp();
        registry = new NodeRegistry(address(escrow));
        _endow(owner);
    }

    // ---- acts ----

    function _endow(address holder) internal {
        rndr.mint(holder, WEALTH);
        vm.prank(holder);
        rndr.approve(address(registry), type(uint256).max);
    }

    function _register() internal {
        vm.prank(owner);
        registry.register(signer, node, CAN, _consent(SIGNER_KEY, owner, signer, node, CAN));
    }

    function _bond(uint96 amount) internal {
        vm.prank(owner);
        registry.bond(signer, amount);
    }

    function _unbond(uint96 amount) internal {
        vm.prank(owner);
        registry.requestUnbond(signer, amount);
    }

    function _slash(Receipt memory first, Receipt memory second) internal {
        registry.slash(
            first, _receiptBy(SIGNER_KEY, first), second, _receiptBy(SIGNER_KEY, second)
        );
    }

    // ---- words ----

    /// By hand, so that the contract's own hashing is checked against it.
    function _registration(address by, address of_, address payout, bytes32 can)
        internal
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN, keccak256("NodeRegistry"), keccak256("1"), block.chainid, address(registry)
            )
        );
        bytes32 act = keccak256(abi.encode(REGISTRATION, by, of_, payout, can));
        return keccak256(abi.encodePacked(hex"1901", domain, act));
    }

    function _consent(uint256 key, address by, address of_, address payout, bytes32 can)
        internal
        view
        returns (bytes memory)
    {
        return _sign(key, _registration(by, of_, payout, can));
    }

    function _receipt(bytes32 outputHash) internal pure returns (Receipt memory) {
        return Receipt({
            jobId: keccak256("job"),
            unit: 7,
            attempt: 2,
            outputHash: outputHash,
            previewHash: keccak256("preview"),
            keyCommit: keccak256("key"),
            startedAt: uint40(START),
            finishedAt: uint40(START + 1 minutes)
        });
    }

    function _pair() internal pure returns (Receipt memory, Receipt memory) {
        return (_receipt("one"), _receipt("two"));
    }

    function hashReceipt(Receipt calldata receipt) external pure returns (bytes32) {
        return Hashes.receipt(receipt);
    }

    function _receiptBy(uint256 key, Receipt memory receipt) internal view returns (bytes memory) {
        return _sign(key, _digest(this.hashReceipt(receipt)));
    }

    // ---- expectations ----

    function _state(address of_) internal view returns (NodeState memory s) {
        (
            s.owner,
            s.payout,
            s.capabilitiesHash,
            s.bonded,
            s.unbonding,
            s.unbondAt,
            s.slashed,
            s.seq
        ) = registry.node(of_);
    }

    function _checkNode(uint256 bonded, uint256 unbonding, uint256 unbondAt, uint256 seq)
        internal
        view
    {
        NodeState memory s = _state(signer);
        vm.assertEq(s.owner, owner, "owner");
        vm.assertEq(s.bonded, bonded, "bonded");
        vm.assertEq(s.unbonding, unbonding, "unbonding");
        vm.assertEq(s.unbondAt, unbondAt, "unbondAt");
        vm.assertEq(s.seq, seq, "seq");
        uint256 held = rndr.balanceOf(address(registry));
        vm.assertEq(held, bonded + unbonding, "tokens held");
    }

    function _tells() internal {
        vm.expectEmit(true, true, true, true, address(registry));
    }

    function _accountRefused(address account) internal {
        _fails(abi.encodeWithSelector(INodeRegistry.NodeRegistry_AccountRefused.selector, account));
    }

    function _unknown(address of_) internal {
        _fails(abi.encodeWithSelector(INodeRegistry.NodeRegistry_SignerUnknown.selector, of_));
    }

    function _barred() internal {
        _fails(abi.encodeWithSelector(INodeRegistry.NodeRegistry_SignerBarred.selector, signer));
    }

    function _notOwner(address caller) internal {
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_CallerRefused.selector, caller, owner
            )
        );
    }

    function _amountZero() internal {
        _fails(abi.encodeWithSelector(INodeRegistry.NodeRegistry_AmountZero.selector));
    }

    function _registrationRefused(bytes32 digest, address of_) internal {
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_RegistrationRefused.selector, digest, of_
            )
        );
    }

    function _signersDiffer(address first, address second) internal {
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_SignersDiffer.selector, first, second
            )
        );
    }

    function _receiptRefused(Receipt memory receipt) internal {
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_ReceiptRefused.selector,
                _digest(this.hashReceipt(receipt))
            )
        );
    }
}
