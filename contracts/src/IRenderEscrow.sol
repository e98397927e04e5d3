// SPDX-License-Identifier: MIT OR Apache-2.0
// Every promise, event and error of the escrow, with all the NatSpec; auditors start here.
pragma solidity 0.8.37;

import {Lot, Order, Payout} from "./Order.sol";

/// Holds the money of render jobs in one token. It has no owner and no upgrade, and a pause that
/// lapses stops the ways in alone. Paying a node takes the settler's consent and either the payer's
/// side's, or a review window that passed without a rejection. "Until t" is before t, "from t" is
/// at t or later; times are block times.
/// Signatures are EIP-712 in the domain { name: "RenderEscrow", version: "1", chainId,
/// verifyingContract }, 65 bytes by an EOA, or whatever an ERC-1271 wallet takes.
interface IRenderEscrow {
    // ---- accounts: each event carries the balance it moved and the account's sequence number,
    // both as they are afterwards ----
    event Deposited(
        address indexed account, address indexed from, uint96 amount, uint96 free, uint64 seq
    );
    event Withdrawn(
        address indexed account, address indexed to, uint96 amount, uint96 free, uint64 seq
    );
    /// Fee share of one release or settle, summed over its lots.
    event FeeCredited(
        bytes32 indexed jobId, address indexed account, uint96 amount, uint96 free, uint64 seq
    );
    /// Burn share of one release or settle, credited to the dead address's account.
    event BurnCredited(bytes32 indexed jobId, uint96 amount, uint96 free, uint64 seq);
    /// The dead address's account was sent to the dead address.
    event Burned(uint96 amount, uint96 free, uint64 seq);
    /// The issuer paid in `amount` for credit of `account`.
    event CreditIssued(address indexed account, uint96 amount, uint96 credit, uint64 seq);
    /// `agent` may open jobs on the payer's account within these bounds; `seq` is the payer's.
    event DelegateSet(
        address indexed payer,
        address indexed agent,
        address indexed settler,
        uint96 allowance,
        uint96 maxPerJob,
        uint40 expiry,
        uint64 seq
    );
    event DelegateRevoked(address indexed payer, address indexed agent, uint64 seq);

    // ---- offices: each event carries their common sequence number afterwards ----
    /// Credit is spent with this settler alone from now on; zero: with none.
    event CreditSettlerNamed(address indexed settler, uint56 seq);
    /// Deposits, credit issue, openings and top-ups wait until `until`.
    event Paused(uint40 until, uint56 seq);

    // ---- jobs: each event carries the job's money and sequence number afterwards ----
    /// The first event of a job; its `jobSeq` is 1. `creditSpent` came from the funder's credit,
    /// `pulled` from its allowance and the rest of `order.cap` from its free balance; `free`,
    /// `credit` and `seq` are the funder's afterwards.
    event Opened(
        bytes32 indexed jobId,
        address indexed payer,
        address indexed funder,
        Order order,
        uint96 creditSpent,
        uint96 pulled,
        uint96 free,
        uint96 credit,
        uint64 seq
    );
    /// Follows `Opened` when a delegate consented; `allowance` is what it may still open.
    event DelegateSpent(
        bytes32 indexed jobId,
        address indexed payer,
        address indexed agent,
        uint96 amount,
        uint96 allowance,
        uint32 jobSeq
    );
    event ToppedUp(
        bytes32 indexed jobId,
        address indexed from,
        uint96 amount,
        uint96 funded,
        uint32 jobSeq,
        uint96 free,
        uint64 seq
    );
    /// `amount` left the job: `fee` and `burn` of it are credited by later events, the rest here.
    event Released(
        bytes32 indexed jobId,
        address indexed node,
        bytes32 indexed lotHash,
        Lot lot,
        uint96 amount,
        uint96 fee,
        uint96 burn,
        uint96 released,
        uint32 jobSeq,
        uint96 free,
        uint64 seq
    );
    /// `windowEnd` is the end of the full review window, also when `approved` ended it at once.
    event Committed(
        bytes32 indexed jobId,
        address indexed node,
        bytes32 indexed lotHash,
        Lot lot,
        uint96 amount,
        uint40 windowEnd,
        bool approved,
        uint96 pending,
        uint32 jobSeq
    );
    /// `by`, here and below: the payer or the approver, whichever said so.
    event Approved(
        bytes32 indexed jobId, address indexed by, bytes32 indexed lotHash, uint32 jobSeq
    );
    event Rejected(
        bytes32 indexed jobId,
        address indexed by,
        bytes32 indexed lotHash,
        uint256 mask,
        bytes32 reasonHash,
        uint96 amount,
        uint96 pending,
        uint32 jobSeq
    );
    /// `mask` are the units paid: the lot's, less the rejected ones. `key` opens the lot's files.
    event Settled(
        bytes32 indexed jobId,
        address indexed node,
        bytes32 indexed lotHash,
        bytes32 key,
        uint256 mask,
        uint96 amount,
        uint96 fee,
        uint96 burn,
        uint96 released,
        uint96 pending,
        uint32 jobSeq,
        uint96 free,
        uint64 seq
    );
    event Lapsed(
        bytes32 indexed jobId,
        bytes32 indexed lotHash,
        uint256 mask,
        uint96 amount,
        uint96 pending,
        uint32 jobSeq
    );
    /// One payout of a redemption: as `Released`, for calls instead of units.
    event Redeemed(
        bytes32 indexed jobId,
        address indexed node,
        uint96 amount,
        uint96 fee,
        uint96 burn,
        uint96 released,
        uint32 jobSeq,
        uint96 free,
        uint64 seq
    );
    /// The job's work deadline is `workDeadline` from now on.
    event CloseRequested(
        bytes32 indexed jobId, address indexed by, uint40 workDeadline, uint32 jobSeq
    );
    event Closed(bytes32 indexed jobId, uint32 jobSeq);
    /// Money that left a job for its payer's side: at close, or when a unit of a closed job was
    /// rejected or lapsed. `funded` fell by `amount`.
    event Returned(
        bytes32 indexed jobId,
        address indexed account,
        uint96 amount,
        uint96 funded,
        uint32 jobSeq,
        uint96 free,
        uint64 seq
    );

    /// As `Returned`, of money that was credit: it is the payer's credit again.
    event CreditReturned(
        bytes32 indexed jobId,
        address indexed account,
        uint96 amount,
        uint96 funded,
        uint32 jobSeq,
        uint96 credit,
        uint64 seq
    );

    // ---- errors: each carries the figures that failed ----
    error RenderEscrow_TokenRefused(address token);
    /// The zero account and the escrow's own have no way out.
    error RenderEscrow_AccountRefused(address account);
    /// `fundJob` takes "0x" and 40 hexadecimal digits as the name of an account.
    error RenderEscrow_AccountTextRefused(string text);
    error RenderEscrow_AmountZero();
    error RenderEscrow_FreeTooLow(address account, uint256 needed, uint256 free);
    /// The token did not move `amount`: see whether balance and allowance cover it.
    error RenderEscrow_PullFailed(
        address from, uint256 amount, uint256 balance, uint256 allowance
    );
    error RenderEscrow_SendFailed(address to, uint256 amount);
    /// The token moved another amount than asked for; such tokens are not taken.
    error RenderEscrow_DepositInexact(uint256 amount, uint256 balanceBefore, uint256 balanceAfter);
    /// The escrow holds less than 2^96 base units in all.
    error RenderEscrow_BalanceTooLarge(uint256 balance);

    error RenderEscrow_IsPaused(uint256 until, uint256 now_);
    /// A pause lasts at most `most` from now on.
    error RenderEscrow_PauseTooLong(uint256 until, uint256 most);
    /// The next pause may start at `from`, long enough after the last one ended.
    error RenderEscrow_PauseTooSoon(uint256 from, uint256 now_);
    error RenderEscrow_NotPaused(uint256 until, uint256 now_);

    /// The signature was empty, so the caller had to be one of the two (`orWanted` may be zero).
    error RenderEscrow_CallerRefused(address caller, address wanted, address orWanted);
    /// Neither of the two signed `digest` (`orWanted` may be zero).
    error RenderEscrow_SignatureRefused(bytes32 digest, address wanted, address orWanted);
    /// `signer` is not the payer, and no delegate of it: never set, revoked, or expired.
    error RenderEscrow_SignerRefused(address signer, address payer, uint256 expiry, uint256 now_);
    error RenderEscrow_DelegateUnknown(address payer, address agent);
    /// A delegate opens jobs with `wanted` alone in this term: "settler" or "refundTo".
    error RenderEscrow_DelegateTermRefused(bytes32 term, address given, address wanted);
    error RenderEscrow_AllowanceTooLow(
        address agent, uint256 cap, uint256 allowance, uint256 maxPerJob
    );

    /// `term` is the name of the order's field in ASCII.
    error RenderEscrow_TermRefused(bytes32 term, uint256 given, uint256 least, uint256 most);
    error RenderEscrow_SettlerOnPayerSide(address settler);
    error RenderEscrow_JobKnown(bytes32 jobId, uint8 status);
    /// Status 0: there is no job of exactly these terms.
    error RenderEscrow_JobNotOpen(bytes32 jobId, uint8 status);
    error RenderEscrow_DeadlinePassed(bytes32 jobId, uint256 deadline, uint256 now_);
    /// `id` is the jobId or the lotHash whose date `from` has not come.
    error RenderEscrow_TooEarly(bytes32 id, uint256 from, uint256 now_);
    error RenderEscrow_CloseAlreadyRequested(bytes32 jobId, uint256 requestedAt);

    /// Lots or payouts of one call.
    error RenderEscrow_CountRefused(uint256 count, uint256 most);
    error RenderEscrow_KeyCountWrong(uint256 lots, uint256 keys);
    error RenderEscrow_UnitPriceTooHigh(bytes32 jobId, uint256 unitPrice, uint256 maxUnitPrice);
    /// The mask is empty or has bits beyond the job's `units`.
    error RenderEscrow_UnitsUnknown(bytes32 jobId, uint32 word, uint256 mask, uint32 units);
    /// `mask` are the lot's units that are reserved or paid already.
    error RenderEscrow_UnitsTaken(bytes32 jobId, uint32 word, uint256 mask);
    error RenderEscrow_FundsTooLow(bytes32 jobId, uint256 needed, uint256 remaining);
    /// `release` pays no sealed lots: `commit` and `settle` them.
    error RenderEscrow_LotSealed(bytes32 lotHash);
    error RenderEscrow_LotNotSealed(bytes32 lotHash);
    error RenderEscrow_LotUnknown(bytes32 lotHash);
    /// A lot commits once for ever.
    error RenderEscrow_LotKnown(bytes32 lotHash, uint8 status);
    /// The lot's status (2 approved, 3 settled, 4 lapsed) allows this no more.
    error RenderEscrow_LotDecided(bytes32 lotHash, uint8 status);
    error RenderEscrow_WindowPassed(bytes32 lotHash, uint256 windowEnd, uint256 now_);
    /// Every lot of the approval was approved, rejected, settled or lapsed before.
    error RenderEscrow_NothingToApprove(bytes32 jobId, bytes32 lotsHash);
    /// `left` are the units of the lot that can still be rejected.
    error RenderEscrow_MaskRefused(bytes32 lotHash, uint256 mask, uint256 left);
    /// All units of the lot were rejected.
    error RenderEscrow_NothingLeft(bytes32 lotHash);
    /// A sealed lot needs the key behind `keyCommit`, an unsealed one the key zero.
    error RenderEscrow_KeyRefused(bytes32 lotHash, bytes32 key, bytes32 keyCommit);

    /// A job with units takes lots, and no vouchers.
    error RenderEscrow_JobTakesNoVouchers(bytes32 jobId, uint32 units);
    error RenderEscrow_VoucherSpent(bytes32 jobId, uint256 cumulative, uint256 released);
    /// The payouts must come to what the voucher adds to the last one, which is `due`.
    error RenderEscrow_PayoutsWrong(bytes32 jobId, uint256 sum, uint256 due);

    // ---- accounts ----

    /// Moves `amount` of the caller's tokens, by its allowance, to its own free balance.
    /// The token must move exactly `amount`; legacy RNDR's allowances always fall.
    function deposit(uint96 amount) external;

    /// As `deposit`, of the caller's tokens, to the free balance of `account`.
    function depositFor(address account, uint96 amount) external;

    /// Only for the token: what legacy RNDR's `holdInEscrow` calls after it moved `amount` here.
    /// `jobId` is its word for a text; here it must be "0x" and 40 hexadecimal digits, the account
    /// to credit. The token's word is taken for the amount.
    function fundJob(string calldata jobId, uint256 amount) external;

    /// Sends `amount` of the caller's free balance to `to`, at any time.
    function withdraw(uint96 amount, address to) external;

    /// By anyone: sends the dead address's free balance, the burn shares, to the dead address.
    function burn() external;

    /// By the caller, for its own account: until `expiry` the key `agent` may open jobs on it, of
    /// at most `maxPerJob` each and `allowance` in all, with `settler` alone and with `refundTo`
    /// the caller. Caps count, and what returns of them does not count back. Replaces what was set.
    function setDelegate(
        address agent,
        address settler,
        uint96 allowance,
        uint96 maxPerJob,
        uint40 expiry
    ) external;

    /// By the caller, for its own account: `agent` opens nothing from now on. What it opened and
    /// what it signed as approver of an open job stays good.
    function revokeDelegate(address agent) external;

    // ---- offices: named at deployment for ever, or zero ----

    /// By the issuer: moves `amount` of its tokens, by its allowance, here as credit of `to`. One
    /// unit of credit opens jobs as one of the token does, but is never withdrawn: only the owner's
    /// own openings spend it, with the named settler alone, and what is not paid is credit again.
    function issueCredit(address to, uint96 amount) external;

    /// By the issuer: the one settler that takes credit from now on. Open jobs keep theirs.
    function nameSettler(address settler) external;

    /// By the guardian: no deposit, credit issue, opening or top-up until `until`, at most 7 days
    /// from now, and not within 30 days after the last pause. Every way out stays open.
    function pause(uint40 until) external;

    /// By the guardian: ends its pause now.
    function unpause() external;

    // ---- opening ----

    /// Opens the job with the caller's own money: its credit first if it is the payer and the
    /// settler takes credit, then its free balance, what lacks from its allowance. By anyone,
    /// before `openBy`; what is not spent returns to `order.refundTo`, credit to the payer's.
    /// @return jobId the order's EIP-712 digest
    function open(Order calldata order) external returns (bytes32 jobId);

    /// Opens the job from the payer's credit and free balance, by a signature over the jobId.
    /// `signer` is the payer or a delegate of it; an empty `signature` means that it calls.
    function openFor(Order calldata order, address signer, bytes calldata signature)
        external
        returns (bytes32 jobId);

    /// Adds `amount` of the caller's free balance to an open job. Like the cap, what is not spent
    /// of it returns to the order's `refundTo`, not to the caller.
    function topUp(bytes32 jobId, uint96 amount) external;

    // ---- paying ----
    // `acceptance`: the settler's signed `Acceptance` of exactly these lots; empty means that the
    // settler calls. `approval`: the payer's or approver's signed `Approval` of exactly these
    // lots; empty means that one of them calls. At most 256 lots a call, all or none of them.

    /// Pays unsealed lots at once, by both consents. Until the job's end, which is
    /// `claimGrace` after the work deadline or after the close request. Units must be free, and
    /// the lots never committed.
    function release(
        Order calldata order,
        Lot[] calldata lots,
        bytes calldata acceptance,
        bytes calldata approval
    ) external;

    /// Reserves the lots' units and money and starts each lot's review window of
    /// `reviewSeconds`. By the settler's consent, until the job's end. With an approval, which an
    /// empty one is not here, the window ends at once. A lot commits once for ever.
    function commit(
        Order calldata order,
        Lot[] calldata lots,
        bytes calldata acceptance,
        bytes calldata approval
    ) external;

    /// Ends the window of committed lots: from then on nobody can reject, and anyone may settle.
    /// Lots that ended meanwhile and units that were rejected are left as they are.
    function approve(Order calldata order, Lot[] calldata lots, bytes calldata approval) external;

    /// By payer or approver, by call or by a signed `Rejection`, which may be older than the
    /// commit: frees the units of `mask` while the lot's window is open and it is not approved.
    /// Units rejected before are skipped. In a closed job the money goes back at once.
    function reject(
        Order calldata order,
        Lot calldata lot,
        uint256 mask,
        bytes32 reasonHash,
        bytes calldata signature
    ) external;

    /// By anyone, once each lot's window is over or was ended: pays what was not rejected.
    /// `keys[i]` must hash to the lot's `keyCommit`, and is zero for an unsealed lot.
    function settle(Order calldata order, Lot[] calldata lots, bytes32[] calldata keys) external;

    /// By anyone, `claimGrace` after the full window of a sealed lot that is not settled: its
    /// units are free again, its money the job's, or in a closed job the payer's side's at once.
    function lapse(Order calldata order, Lot calldata lot) external;

    /// Pays the calls of a job without units: what the voucher's `cumulative` adds to the total
    /// redeemed so far, which is `released`, split as `payouts`. `signature`: the `Voucher` of
    /// payer or approver. `consent`: the settler's `Redemption` of total and payouts. Empty: the
    /// caller. Until the job's end; at most 256 payouts.
    function redeem(
        Order calldata order,
        uint96 cumulative,
        bytes calldata signature,
        Payout[] calldata payouts,
        bytes calldata consent
    ) external;

    // ---- ending ----

    /// By payer or approver, once, by call or signed `CloseRequest`, before `workDeadline`: its
    /// time takes the place of `workDeadline`. The job takes lots for `claimGrace` more.
    function requestClose(Order calldata order, bytes calldata signature) external;

    /// By anyone, from the job's end or once all units are paid: what is neither paid nor pending
    /// goes to the free balance of `refundTo`, or is the payer's credit again. Pending lots settle,
    /// lapse or are rejected later. Before: with the signed `Close` of payer or approver and of the
    /// settler, where an empty one of the two means the caller. Who signed it accepts no more work.
    function close(Order calldata order, bytes calldata payerSide, bytes calldata settlerSide)
        external;

    // ---- what is stored ----

    /// The one ERC-20 token of this escrow.
    function token() external view returns (address);

    /// Who may issue credit and who may pause (zero: nobody), the one settler that takes credit,
    /// the end of the last pause, and the number of events of these offices so far.
    function offices()
        external
        view
        returns (
            address issuer,
            address guardian,
            address creditSettler,
            uint40 pausedUntil,
            uint56 seq
        );

    /// Free balance and credit of an account, and its number of events so far.
    function account(address owner) external view returns (uint96 free, uint96 credit, uint64 seq);

    /// Bounds of a delegate; all zero if it was never set or was revoked.
    function delegate(address payer, address agent)
        external
        view
        returns (address settler, uint96 allowance, uint96 maxPerJob, uint40 expiry);

    /// A job's money, units paid, number of events so far, status (0 none, 1 open, 2 closed), the
    /// time of its close request, or 0, and how much of `funded` came as credit, which is spent
    /// first. What remains is `funded - released - pending`.
    function job(bytes32 jobId)
        external
        view
        returns (
            uint96 funded,
            uint96 released,
            uint96 pending,
            uint32 unitsPaid,
            uint32 seq,
            uint8 status,
            uint40 closeRequestedAt,
            uint96 creditShare
        );

    /// A lot's status (0 none, 1 committed, 2 approved, 3 settled, 4 lapsed), the end of its full
    /// window, and the units of it that were rejected. A released lot has none of these.
    function lot(bytes32 lotHash)
        external
        view
        returns (uint8 status, uint40 windowEnd, uint256 rejected);

    /// Units of the job's 256-unit word `word` that are reserved or paid.
    function takenUnits(bytes32 jobId, uint32 word) external view returns (uint256 mask);

    /// The order's EIP-712 digest, which the payer signs and which names the job.
    function jobIdOf(Order calldata order) external view returns (bytes32);

    /// The struct hash of the lot, which names it on chain.
    function lotHashOf(bytes32 jobId, Lot calldata lot) external view returns (bytes32);
}
