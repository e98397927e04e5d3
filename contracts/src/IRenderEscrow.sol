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
    /// `amount` left the job: `fee` and `burn` of it are credited by the events after, the rest here.
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

    function deposit(uint96 amount) external;
    function depositFor(address account, uint96 amount) external;
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
