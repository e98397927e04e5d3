// SPDX-License-Identifier: MIT OR Apache-2.0
// Random acts of owners, signers, reporters and strangers on a few bonds, honest or not.
pragma solidity 0.8.37;

import {Receipt} from "../src/Order.sol";
import {RegistryFixture} from "./RegistryFixture.sol";
import {RegistryFold} from "./RegistryFold.sol";

abstract contract RegistryActs is RegistryFixture {
    uint256 internal constant SIGNERS = 6;
    uint256 private constant PEOPLE = 3;
    uint256 private constant FIRST_KEY = 0x1000;

    RegistryFold internal fold;
    uint256 internal donated;
    /// Calls that nobody had the right to and that got through.
    uint256 internal intrusions;
    mapping(string act => uint256) internal done;
    /// Who registered a signer, whatever the registry says later.
    mapping(address signer => address) internal firstOwner;

    function setUp() public override {
        super.setUp();
        fold = new RegistryFold();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            _endow(_person(i));
        }
    }

    function register(uint256 seed) external {
        (address by, uint256 key) = (_person(seed >> 8), _key(seed));
        address of_ = vm.addr(key);
        bytes32 can = bytes32(seed);
        bytes memory word = _consent(key, by, of_, node, can);
        bool got = _call(by, abi.encodeCall(registry.register, (of_, node, can, word)), "register");
        if (!got) return;
        if (firstOwner[of_] != address(0)) ++intrusions;
        firstOwner[of_] = by;
    }

    function update(uint256 seed) external {
        address of_ = _signer(seed);
        bytes memory data = abi.encodeCall(registry.update, (of_, otherNode, bytes32(seed)));
        _call(_ownerOr(of_, seed), data, "update");
    }

    function bond(uint256 seed, uint256 any) external {
        bytes memory data =
            abi.encodeCall(registry.bond, (_signer(seed), uint96(1 + any % 10 ether)));
        _call(_person(seed >> 8), data, "bond");
    }

    function requestUnbond(uint256 seed, uint256 any) external {
        address of_ = _signer(seed);
        uint256 bonded = _state(of_).bonded;
        // One in eight asks for more than there is.
        uint96 amount = uint96(bonded == 0 || any % 8 == 0 ? bonded + 1 : 1 + any % bonded);
        bytes memory data = abi.encodeCall(registry.requestUnbond, (of_, amount));
        _call(_ownerOr(of_, seed), data, "requestUnbond");
    }

    function withdrawBond(uint256 seed) external {
        address of_ = _signer(seed);
        bytes memory data = abi.encodeCall(registry.withdrawBond, (of_, treasury));
        _call(_ownerOr(of_, seed), data, "withdrawBond");
    }

    /// Rarely, or nobody would be left to bond.
    function slash(uint256 seed) external {
        if (seed % 4 != 0) return;
        (Receipt memory one, Receipt memory two) = _pair();
        uint256 key = _key(seed);
        bytes memory data =
            abi.encodeCall(registry.slash, (one, _receiptBy(key, one), two, _receiptBy(key, two)));
        _call(_person(seed >> 8), data, "slash");
    }

    /// Two receipts that do not contradict each other, or of two signers.
    function slashTheInnocent(uint256 seed) external {
        (Receipt memory one, Receipt memory two) = _pair();
        (uint256 key, uint256 other) = (_key(seed), _key(seed));
        uint256 way = (seed >> 16) % 5;
        if (way == 0) two.outputHash = one.outputHash;
        else if (way == 1) two.attempt += 1;
        else if (way == 2) two.unit += 1;
        else if (way == 3) two.jobId = bytes32(seed);
        else other = _key(seed + 1);
        bytes memory data = abi.encodeCall(
            registry.slash, (one, _receiptBy(key, one), two, _receiptBy(other, two))
        );
        if (_call(_person(seed >> 8), data, "slashTheInnocent")) ++intrusions;
    }

    /// What only the owner may do, by one who never owns anything.
    function intrude(uint256 seed) external {
        address of_ = _signer(seed);
        bytes memory data = abi.encodeCall(registry.withdrawBond, (of_, stranger));
        if (seed & 256 != 0) data = abi.encodeCall(registry.requestUnbond, (of_, 1));
        if (seed & 512 != 0) data = abi.encodeCall(registry.update, (of_, stranger, ""));
        if (_call(stranger, data, "intrude")) ++intrusions;
    }

    function donate(uint256 any) external {
        donated += any % 1 ether;
        rndr.mint(address(registry), any % 1 ether);
    }

    function pass(uint256 any) external {
        vm.warp(block.timestamp + any % 50 days);
    }

    function _signerAt(uint256 i) internal pure returns (address) {
        return vm.addr(FIRST_KEY + i % SIGNERS);
    }

    // ---- parts ----

    /// Never reverts, so that a campaign that fails on a revert finds faults of these acts alone.
    function _call(address by, bytes memory data, string memory act) private returns (bool got) {
        vm.recordLogs();
        vm.prank(by);
        (got,) = address(registry).call(data);
        fold.fold(vm.getRecordedLogs(), address(registry), by);
        if (got) ++done[act];
    }

    function _person(uint256 seed) private pure returns (address) {
        return address(uint160(0xB000 + seed % PEOPLE));
    }

    function _key(uint256 seed) private pure returns (uint256) {
        return FIRST_KEY + seed % SIGNERS;
    }

    function _signer(uint256 seed) private pure returns (address) {
        return vm.addr(_key(seed));
    }

    /// Mostly the owner.
    function _ownerOr(address of_, uint256 seed) private view returns (address) {
        address by = _state(of_).owner;
        return by == address(0) || seed & 0x70000 == 0 ? _person(seed >> 8) : by;
    }
}
