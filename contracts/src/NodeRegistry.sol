// SPDX-License-Identifier: MIT OR Apache-2.0
// Bonds of nodes: held, given back after a delay, or slashed by two receipts that contradict.
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IRenderEscrow} from "./IRenderEscrow.sol";
import {Hashes, Receipt} from "./Order.sol";

// The consent of a signer to its registration; it needs no nonce, for it is used once for ever.
bytes32 constant REGISTRATION = keccak256(
    "Registration(address owner,address signer,address payout,bytes32 capabilitiesHash)"
);

contract NodeRegistry is INodeRegistry, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// Where burnt money goes; legacy RNDR gives holders no `burn`.
    address private constant DEAD = 0x000000000000000000000000000000000000dEaD;
    /// INodeRegistry.unbondDelay says why.
    uint256 private constant UNBOND_DELAY = 45 days;
    /// Name, version, chain id and contract, no salt: the fields that receipts are signed under.
    bytes1 private constant DOMAIN_FIELDS = 0x0f;

    struct Node {
        address owner;
        uint96 bonded;
        uint96 unbonding;
        uint40 unbondAt;
        bool slashed;
        uint64 seq;
        address payout;
        bytes32 capabilitiesHash;
    }

    address private immutable _escrow;
    IERC20 private immutable _token;
    bytes32 private immutable _escrowName;
    bytes32 private immutable _escrowVersion;
    // Written through the pointers that `_known` and `_owned` return.
    // slither-disable-next-line uninitialized-state
    mapping(address signer => Node) private _nodes;

    constructor(address escrow_) EIP712("NodeRegistry", "1") {
        if (escrow_.code.length == 0) revert NodeRegistry_EscrowRefused(escrow_);
        // The chain id is the one of each call; salt and extensions are excluded by the fields.
        // slither-disable-next-line unused-return
        (bytes1 fields, string memory name, string memory version,, address verifying,,) =
            IERC5267(escrow_).eip712Domain();
        if (fields != DOMAIN_FIELDS || verifying != escrow_) {
            revert NodeRegistry_EscrowRefused(escrow_);
        }
        _escrow = escrow_;
        _token = IERC20(IRenderEscrow(escrow_).token());
        _escrowName = keccak256(bytes(name));
        _escrowVersion = keccak256(bytes(version));
    }

    // ---- nodes ----

    function register(
        address signer,
        address payout,
        bytes32 capabilitiesHash,
        bytes calldata signature
    ) external {
        _checkAccount(payout);
        Node storage entry = _nodes[signer];
        if (entry.owner != address(0)) revert NodeRegistry_SignerKnown(signer, entry.owner);
        bytes32 act =
            keccak256(abi.encode(REGISTRATION, msg.sender, signer, payout, capabilitiesHash));
        bytes32 digest = _hashTypedDataV4(act);
        // Zero when the signature is no good, whyever, and zero is nobody's key.
        // slither-disable-next-line unused-return
        (address signed,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signed == address(0) || signed != signer) {
            revert NodeRegistry_RegistrationRefused(digest, signer);
        }
        entry.owner = msg.sender;
        entry.payout = payout;
        entry.capabilitiesHash = capabilitiesHash;
        emit Registered(signer, msg.sender, payout, capabilitiesHash, ++entry.seq);
    }

    function update(address signer, address payout, bytes32 capabilitiesHash) external {
        Node storage entry = _owned(signer);
        _checkAccount(payout);
        entry.payout = payout;
        entry.capabilitiesHash = capabilitiesHash;
        emit Updated(signer, payout, capabilitiesHash, ++entry.seq);
    }

    // ---- bonds ----

    function bond(address signer, uint96 amount) external nonReentrant {
        if (amount == 0) revert NodeRegistry_AmountZero();
        Node storage entry = _known(signer);
        if (entry.slashed) revert NodeRegistry_SignerBarred(signer);
        uint96 bonded;
        unchecked {
            // Cannot overflow: `_pull` refuses what would bring all bonds together to 2^96.
            bonded = entry.bonded + amount;
        }
        entry.bonded = bonded;
        emit Bonded(signer, msg.sender, amount, bonded, ++entry.seq);
        _pull(msg.sender, amount);
    }

    function requestUnbond(address signer, uint96 amount) external {
        Node storage entry = _owned(signer);
        if (amount == 0) revert NodeRegistry_AmountZero();
        uint96 bonded = entry.bonded;
        if (amount > bonded) revert NodeRegistry_BondTooLow(signer, amount, bonded);
        bonded -= amount;
        uint96 unbonding = entry.unbonding + amount;
        // Fits for 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint40 unbondAt = uint40(block.timestamp + UNBOND_DELAY);
        entry.bonded = bonded;
        entry.unbonding = unbonding;
        entry.unbondAt = unbondAt;
        emit UnbondRequested(signer, amount, bonded, unbonding, unbondAt, ++entry.seq);
    }

    function withdrawBond(address signer, address to) external nonReentrant {
        Node storage entry = _owned(signer);
        _checkAccount(to);
        uint96 amount = entry.unbonding;
        if (amount == 0) revert NodeRegistry_NothingUnbonding(signer);
        uint256 from = entry.unbondAt;
        if (block.timestamp < from) revert NodeRegistry_TooEarly(signer, from, block.timestamp);
        entry.unbonding = 0;
        emit BondWithdrawn(signer, to, amount, ++entry.seq);
        _send(to, amount);
    }

    function slash(
        Receipt calldata first,
        bytes calldata firstSignature,
        Receipt calldata second,
        bytes calldata secondSignature
    ) external nonReentrant {
        _checkContradiction(first, second);
        address signer = _signerOf(first, firstSignature);
        address other = _signerOf(second, secondSignature);
        if (signer != other) revert NodeRegistry_SignersDiffer(signer, other);
        Node storage entry = _known(signer);
        if (entry.slashed) revert NodeRegistry_SignerBarred(signer);
        uint96 lost = entry.bonded + entry.unbonding;
        (uint96 burned, uint96 rewarded) = (lost - lost / 2, lost / 2);
        (entry.bonded, entry.unbonding, entry.slashed) = (0, 0, true);
        emit Slashed(
            signer,
            msg.sender,
            first.jobId,
            first,
            firstSignature,
            second,
            secondSignature,
            burned,
            rewarded,
            ++entry.seq
        );
        if (burned != 0) _send(DEAD, burned);
        if (rewarded != 0) _send(msg.sender, rewarded);
    }

    // ---- views ----

    function escrow() external view returns (address) {
        return _escrow;
    }

    function token() external view returns (address) {
        return address(_token);
    }

    function unbondDelay() external pure returns (uint256) {
        return UNBOND_DELAY;
    }

    function node(address signer)
        external
        view
        returns (
            address owner,
            address payout,
            bytes32 capabilitiesHash,
            uint96 bonded,
            uint96 unbonding,
            uint40 unbondAt,
            bool slashed,
            uint64 seq
        )
    {
        Node memory n = _nodes[signer];
        return (
            n.owner,
            n.payout,
            n.capabilitiesHash,
            n.bonded,
            n.unbonding,
            n.unbondAt,
            n.slashed,
            n.seq
        );
    }

    // ---- checks ----

    function _known(address signer) private view returns (Node storage entry) {
        entry = _nodes[signer];
        if (entry.owner == address(0)) revert NodeRegistry_SignerUnknown(signer);
    }

    function _owned(address signer) private view returns (Node storage entry) {
        entry = _known(signer);
        if (msg.sender != entry.owner) revert NodeRegistry_CallerRefused(msg.sender, entry.owner);
    }

    function _checkAccount(address account) private view {
        if (account == address(0) || account == address(this) || account == _escrow) {
            revert NodeRegistry_AccountRefused(account);
        }
    }

    /// One attempt at one unit of one job has one output.
    function _checkContradiction(Receipt calldata first, Receipt calldata second) private pure {
        bool same = first.jobId == second.jobId && first.unit == second.unit
            && first.attempt == second.attempt;
        if (!same) revert NodeRegistry_WorksDiffer(first, second);
        if (first.outputHash == second.outputHash) {
            revert NodeRegistry_OutputsEqual(first.outputHash);
        }
    }

    /// Who signed this receipt for the escrow, on the chain as it is called now.
    function _signerOf(Receipt calldata receipt, bytes calldata signature)
        private
        view
        returns (address signer)
    {
        bytes32 domain = MessageHashUtils.toDomainSeparator(
            DOMAIN_FIELDS, _escrowName, _escrowVersion, block.chainid, _escrow, 0
        );
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, Hashes.receipt(receipt));
        // Zero when the signature is no good, whyever.
        // slither-disable-next-line unused-return
        (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer == address(0)) revert NodeRegistry_ReceiptRefused(digest);
    }

    // ---- tokens ----

    /// Takes exactly `amount` from `from`'s allowance; a token that moves another is refused.
    function _pull(address from, uint96 amount) private {
        uint256 held = _token.balanceOf(address(this));
        if (!_token.trySafeTransferFrom(from, address(this), amount)) {
            // Legacy RNDR says nothing when it refuses, so the figures are said here.
            uint256 allowed = _token.allowance(from, address(this));
            revert NodeRegistry_PullFailed(from, amount, _token.balanceOf(from), allowed);
        }
        uint256 holds = _token.balanceOf(address(this));
        if (holds > type(uint96).max) revert NodeRegistry_BalanceTooLarge(holds);
        if (holds < held || holds - held != amount) {
            revert NodeRegistry_BondInexact(amount, held, holds);
        }
    }

    function _send(address to, uint96 amount) private {
        if (!_token.trySafeTransfer(to, amount)) revert NodeRegistry_SendFailed(to, amount);
    }
}
