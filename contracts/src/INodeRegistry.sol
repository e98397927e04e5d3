// SPDX-License-Identifier: MIT OR Apache-2.0
// Every promise, event and error of the node registry, with all the NatSpec.
pragma solidity 0.8.37;

import {Receipt} from "./Order.sol";

/// Holds the bonds of nodes in the escrow's token. No office, no upgrade, no pause: a bond leaves
/// to where its owner says, `unbondDelay` after it asked, or is slashed when its signer signed two
/// receipts that contradict each other. No judge is needed for that and none is heard.
///
/// A node is its signer, the key of its receipts: one bond, one owner, for ever. The signer is a
/// plain key (ECDSA, 65 bytes), never an ERC-1271 wallet, which could deny what it had signed.
/// A registration is signed in the domain { name: "NodeRegistry", version: "1", chainId,
/// verifyingContract }, a receipt in the escrow's. Times are block times; "from t" is at t or
/// later.
interface INodeRegistry {
    // ---- events: each carries the money it moved, what remains, and the node's number of events
    // so far, all as they are afterwards ----
    /// The first event of a node; its `seq` is 1.
    event Registered(
        address indexed signer,
        address indexed owner,
        address payout,
        bytes32 capabilitiesHash,
        uint64 seq
    );
    event Updated(address indexed signer, address payout, bytes32 capabilitiesHash, uint64 seq);
    event Bonded(
        address indexed signer, address indexed from, uint96 amount, uint96 bonded, uint64 seq
    );
    /// `amount` no longer counts as bond; `unbonding` can be withdrawn from `unbondAt`.
    event UnbondRequested(
        address indexed signer,
        uint96 amount,
        uint96 bonded,
        uint96 unbonding,
        uint40 unbondAt,
        uint64 seq
    );
    /// All that was unbonding; none is left.
    event BondWithdrawn(address indexed signer, address indexed to, uint96 amount, uint64 seq);
    /// Bonded and unbonding money is gone, all of it: `burned` to the dead address, `rewarded` to
    /// the reporter. Whoever has this log can check the fraud again.
    event Slashed(
        address indexed signer,
        address indexed reporter,
        bytes32 indexed jobId,
        Receipt first,
        bytes firstSignature,
        Receipt second,
        bytes secondSignature,
        uint96 burned,
        uint96 rewarded,
        uint64 seq
    );

    // ---- errors: each carries the figures that failed ----
    /// `escrow` does not say by EIP-5267 that receipts are signed for it.
    error NodeRegistry_EscrowRefused(address escrow);
    /// The zero account, the registry and the escrow can do nothing with money sent there.
    error NodeRegistry_AccountRefused(address account);
    error NodeRegistry_AmountZero();
    error NodeRegistry_CallerRefused(address caller, address owner);
    /// `digest` is the signer's consent to be registered so, and it signed another or none.
    error NodeRegistry_RegistrationRefused(bytes32 digest, address signer);
    error NodeRegistry_SignerKnown(address signer, address owner);
    error NodeRegistry_SignerUnknown(address signer);
    /// Slashed signers take no new bond.
    error NodeRegistry_SignerBarred(address signer);
    error NodeRegistry_BondTooLow(address signer, uint256 needed, uint256 bonded);
    error NodeRegistry_NothingUnbonding(address signer);
    error NodeRegistry_TooEarly(address signer, uint256 from, uint256 now_);
    /// The token did not move `amount`: see whether balance and allowance cover it.
    error NodeRegistry_PullFailed(
        address from, uint256 amount, uint256 balance, uint256 allowance
    );
    error NodeRegistry_SendFailed(address to, uint256 amount);
    /// The token moved another amount than asked for; such tokens are not taken.
    error NodeRegistry_BondInexact(uint256 amount, uint256 balanceBefore, uint256 balanceAfter);
    /// The registry holds less than 2^96 base units in all.
    error NodeRegistry_BalanceTooLarge(uint256 balance);
    /// No key made this signature of the receipt whose digest in the escrow's domain is `digest`.
    error NodeRegistry_ReceiptRefused(bytes32 digest);
    /// Two keys signed; or the receipts are another escrow's or another chain's.
    error NodeRegistry_SignersDiffer(address first, address second);
    /// Receipts of two works: both may be true.
    error NodeRegistry_WorksDiffer(Receipt first, Receipt second);
    /// Both receipts name this output: they do not contradict each other.
    error NodeRegistry_OutputsEqual(bytes32 outputHash);

    // ---- nodes ----

    /// Makes the caller the owner of `signer`'s bond, for ever, by the signer's signed
    /// `Registration` of exactly these four. `payout` is where the node wants to be paid, and
    /// `capabilitiesHash` names what it says it can do; neither is judged here.
    function register(
        address signer,
        address payout,
        bytes32 capabilitiesHash,
        bytes calldata signature
    ) external;

    /// By the owner. Lots that are committed or accepted already pay whom they name.
    function update(address signer, address payout, bytes32 capabilitiesHash) external;

    // ---- bonds: amounts in the token's base unit ----

    /// Moves `amount` of the caller's tokens, by its allowance, to the signer's bond. By anyone;
    /// the money is the owner's from then on.
    function bond(address signer, uint96 amount) external;

    /// By the owner: `amount` counts as bond no more, and can be withdrawn `unbondDelay` from now.
    /// What was unbonding before waits as long again, so withdraw first what is due.
    function requestUnbond(address signer, uint96 amount) external;

    /// By the owner, from `unbondAt`: sends all that is unbonding to `to`.
    function withdrawBond(address signer, address to) external;

    /// By anyone, at any time, with two receipts of one signer for the same job, unit and attempt
    /// that name different outputs, each signed as nodes sign them for the escrow. Half of what is
    /// bonded and unbonding is burnt, an odd unit with it; half is the caller's. The signer is
    /// barred: it takes no new bond, so no pair of receipts slashes twice, or money bonded after
    /// its proof was seen. A bond of zero can be slashed too, to bar the signer.
    function slash(
        Receipt calldata first,
        bytes calldata firstSignature,
        Receipt calldata second,
        bytes calldata secondSignature
    ) external;

    // ---- what is stored ----

    /// The escrow whose receipts count here.
    function escrow() external view returns (address);

    /// The escrow's token, in which bonds are.
    function token() external view returns (address);

    /// Seconds from a request to the withdrawal: 45 days. Work that is leased when its node asks
    /// can run one claim grace (at most 14 days), be under review (at most 14) and wait for its key
    /// (one grace more): 42 days until the last receipt's money is decided, and 3 to report.
    function unbondDelay() external view returns (uint256);

    /// A node's owner (zero: not registered), terms, money, the time from which `unbonding` can be
    /// withdrawn (of the last request), whether it was slashed, and its number of events so far.
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
        );
}
