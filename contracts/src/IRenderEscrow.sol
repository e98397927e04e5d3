// SPDX-License-Identifier: MIT OR Apache-2.0
// Every promise, event and error of the escrow, with all the NatSpec; auditors start here.
pragma solidity 0.8.37;

import {Lot, Order} from "./Order.sol";

interface IRenderEscrow {
    // ---- accounts: each event carries the account's balance and sequence number afterwards ----
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

    // ---- jobs: each event carries the job's money and sequence number afterwards ----
    /// The first event of a job; its `jobSeq` is 1. `pulled` came from the funder's allowance, the
    /// rest of `order.cap` from its free balance; `free` and `seq` are the funder's afterwards.
    event Opened(
        bytes32 indexed jobId,
        address indexed payer,
        address indexed funder,
        Order order,
        uint96 pulled,
        uint96 free,
        uint64 seq
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
    event Approved(bytes32 indexed jobId, bytes32 indexed lotHash, uint32 jobSeq);
    event Rejected(
        bytes32 indexed jobId,
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
    /// The job's work deadline is `workDeadline` from now on.
    event CloseRequested(bytes32 indexed jobId, uint40 workDeadline, uint32 jobSeq);
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

    /// The signature was empty, so the caller had to be one of the two (`orWanted` may be zero).
    error RenderEscrow_CallerRefused(address caller, address wanted, address orWanted);
    /// Neither of the two signed `digest` (`orWanted` may be zero).
    error RenderEscrow_SignatureRefused(bytes32 digest, address wanted, address orWanted);
    error RenderEscrow_SignerRefused(address signer, address payer);

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

    error RenderEscrow_LotCountRefused(uint256 count, uint256 most);
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

    function deposit(uint96 amount) external;
    function depositFor(address account, uint96 amount) external;
    function fundJob(string calldata jobId, uint256 amount) external;
    function withdraw(uint96 amount, address to) external;
    function burn() external;
    function open(Order calldata order) external returns (bytes32 jobId);
    function openFor(Order calldata order, address signer, bytes calldata signature)
        external
        returns (bytes32 jobId);
    function topUp(bytes32 jobId, uint96 amount) external;
    function release(
        Order calldata order,
        Lot[] calldata lots,
        bytes calldata acceptance,
        bytes calldata approval
    ) external;
    function commit(
        Order calldata order,
        Lot[] calldata lots,
        bytes calldata acceptance,
        bytes calldata approval
    ) external;
    function approve(Order calldata order, Lot[] calldata lots, bytes calldata approval) external;
    function reject(
        Order calldata order,
        Lot calldata lot,
        uint256 mask,
        bytes32 reasonHash,
        bytes calldata signature
    ) external;
    function settle(Order calldata order, Lot[] calldata lots, bytes32[] calldata keys) external;
    function lapse(Order calldata order, Lot calldata lot) external;
    function requestClose(Order calldata order, bytes calldata signature) external;
    function close(Order calldata order) external;

    function token() external view returns (address);
    function account(address owner) external view returns (uint96 free, uint64 seq);
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
            uint40 closeRequestedAt
        );
    function lot(bytes32 lotHash)
        external
        view
        returns (uint8 status, uint40 windowEnd, uint256 rejected);
    function takenUnits(bytes32 jobId, uint32 word) external view returns (uint256 mask);
    function jobIdOf(Order calldata order) external view returns (bytes32);
    function lotHashOf(bytes32 jobId, Lot calldata lot) external view returns (bytes32);
}
