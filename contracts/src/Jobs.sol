// SPDX-License-Identifier: MIT OR Apache-2.0
// State of jobs, units and lots, and the single steps that the operations are made of.
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Accounts} from "./Accounts.sol";
import {Consents} from "./Consents.sol";
import {Hashes, Lot, Order} from "./Order.sol";
import {Units} from "./Units.sol";

abstract contract Jobs is Accounts, EIP712 {
    /// Two slots: a release writes only the first, the second stays zero in a plain opening.
    struct Job {
        uint96 funded;
        uint96 released;
        uint24 unitsPaid;
        uint32 seq;
        uint8 status;
        uint96 pending;
        uint40 closeRequestedAt;
    }

    struct LotRecord {
        uint40 windowEnd;
        uint8 status;
    }

    /// Fee and burn shares of one call, summed over its lots.
    struct Shares {
        uint96 fee;
        uint96 burn;
    }

    uint8 internal constant JOB_NONE = 0;
    uint8 internal constant JOB_OPEN = 1;
    uint8 internal constant JOB_CLOSED = 2;

    uint8 internal constant LOT_NONE = 0;
    uint8 internal constant LOT_COMMITTED = 1;
    uint8 internal constant LOT_APPROVED = 2;
    uint8 internal constant LOT_SETTLED = 3;
    uint8 internal constant LOT_LAPSED = 4;

    uint256 private constant MIN_REVIEW = 10 minutes;
    uint256 private constant MAX_REVIEW = 14 days;
    uint256 private constant MIN_GRACE = 1 hours;
    uint256 private constant MAX_GRACE = 14 days;
    uint256 private constant MAX_FEE_BPS = 1000;
    uint256 private constant ALL_BPS = 10_000;
    /// `unitsPaid` has 24 bits.
    uint256 private constant MAX_UNITS = type(uint24).max;
    /// Lots of one call: this many to new nodes still fit in a block of 30 million gas.
    uint256 private constant MAX_LOTS = 256;

    mapping(bytes32 jobId => Job) internal _jobs;
    mapping(bytes32 jobId => mapping(uint32 word => uint256 mask)) internal _taken;
    mapping(bytes32 lotHash => LotRecord) internal _lots;
    mapping(bytes32 lotHash => uint256 mask) internal _rejected;

    // ---- roles ----

    function _checkAcceptance(
        Order calldata order,
        bytes32 jobId,
        bytes32 lotsHash,
        bytes calldata acceptance
    ) internal view {
        bytes32 digest = _hashTypedDataV4(Hashes.acceptance(jobId, lotsHash));
        _checkConsent(order.settler, address(0), digest, acceptance);
    }

    /// Payer or approver, on an act of this type and these figures.
    function _checkPayerSide(Order calldata order, bytes32 act, bytes calldata signature)
        internal
        view
    {
        _checkConsent(order.payer, order.approver, _hashTypedDataV4(act), signature);
    }

    function _checkConsent(address first, address second, bytes32 digest, bytes calldata signature)
        internal
        view
    {
        if (Consents.given(first, second, digest, signature)) return;
        if (signature.length == 0) revert RenderEscrow_CallerRefused(msg.sender, first, second);
        revert RenderEscrow_SignatureRefused(digest, first, second);
    }

    // ---- terms ----

    function _checkTerms(Order calldata order) internal view {
        _checkAccount(order.payer);
        _checkAccount(order.refundTo);
        _checkAccount(order.settler);
        if (order.feeBps != 0) _checkAccount(order.feeReceiver);
        if (order.settler == order.payer || order.settler == order.approver) {
            revert RenderEscrow_SettlerOnPayerSide(order.settler);
        }
        _checkTerm("cap", order.cap, 1, type(uint96).max);
        _checkTerm("maxUnitPrice", order.maxUnitPrice, 1, type(uint96).max);
        _checkTerm("units", order.units, 1, MAX_UNITS);
        _checkTerm("openBy", order.openBy, 0, order.workDeadline);
        _checkTerm("reviewSeconds", order.reviewSeconds, MIN_REVIEW, MAX_REVIEW);
        _checkTerm("claimGrace", order.claimGrace, MIN_GRACE, MAX_GRACE);
        _checkTerm("feeBps", order.feeBps, 0, MAX_FEE_BPS);
        _checkTerm("burnBps", order.burnBps, 0, ALL_BPS - order.feeBps);
    }

    function _checkTerm(bytes32 term, uint256 given, uint256 least, uint256 most) private pure {
        if (given < least || given > most) {
            revert RenderEscrow_TermRefused(term, given, least, most);
        }
    }

    function _checkOpen(bytes32 jobId, uint8 status) internal pure {
        if (status != JOB_OPEN) revert RenderEscrow_JobNotOpen(jobId, status);
    }

    /// The job's end: from then on it takes no lots and anyone may close it.
    function _end(Order calldata order, uint40 closeRequestedAt) internal pure returns (uint256) {
        uint256 deadline = closeRequestedAt == 0 ? order.workDeadline : closeRequestedAt;
        return deadline + order.claimGrace;
    }

    /// The job, if it still takes lots.
    function _workable(Order calldata order, bytes32 jobId) internal view returns (Job memory job) {
        job = _jobs[jobId];
        _checkOpen(jobId, job.status);
        uint256 end = _end(order, job.closeRequestedAt);
        if (block.timestamp >= end) {
            revert RenderEscrow_DeadlinePassed(jobId, end, block.timestamp);
        }
    }

    function _hashLots(bytes32 jobId, Lot[] calldata lots)
        internal
        pure
        returns (bytes32[] memory hashes, bytes32 lotsHash)
    {
        _checkLotCount(lots.length);
        hashes = new bytes32[](lots.length);
        for (uint256 i = 0; i < lots.length; ++i) {
            hashes[i] = Hashes.lot(jobId, lots[i]);
        }
        lotsHash = Hashes.lots(hashes);
    }

    function _checkLotCount(uint256 count) internal pure {
        if (count == 0 || count > MAX_LOTS) revert RenderEscrow_LotCountRefused(count, MAX_LOTS);
    }

    // ---- money of a job ----

    /// Opens with `pulled` of the cap still to be taken from the funder's allowance by the caller.
    function _open(Order calldata order, bytes32 jobId, address funder, uint96 pulled) internal {
        _checkTerms(order);
        if (block.timestamp >= order.openBy) {
            revert RenderEscrow_DeadlinePassed(jobId, order.openBy, block.timestamp);
        }
        Job storage job = _jobs[jobId];
        if (job.status != JOB_NONE) revert RenderEscrow_JobKnown(jobId, job.status);
        (uint96 free, uint64 seq) = _spend(funder, order.cap - pulled);
        job.funded = order.cap;
        job.seq = 1;
        job.status = JOB_OPEN;
        emit Opened(jobId, order.payer, funder, order, pulled, free, seq);
    }

    /// Takes the lot's free units and says what they cost, which the job can cover.
    function _take(Order calldata order, bytes32 jobId, Job memory job, Lot calldata lot)
        private
        returns (uint96)
    {
        _checkAccount(lot.node);
        if (lot.unitPrice > order.maxUnitPrice) {
            revert RenderEscrow_UnitPriceTooHigh(jobId, lot.unitPrice, order.maxUnitPrice);
        }
        if (lot.mask == 0 || Units.outside(lot.word, lot.mask, order.units) != 0) {
            revert RenderEscrow_UnitsUnknown(jobId, lot.word, lot.mask, order.units);
        }
        uint256 taken = _taken[jobId][lot.word];
        if (taken & lot.mask != 0) {
            revert RenderEscrow_UnitsTaken(jobId, lot.word, taken & lot.mask);
        }
        _taken[jobId][lot.word] = taken | lot.mask;
        uint256 amount = Units.amount(lot.mask, lot.unitPrice);
        uint256 remaining = job.funded - job.released - job.pending;
        if (amount > remaining) revert RenderEscrow_FundsTooLow(jobId, amount, remaining);
        // Fits: it is at most `remaining`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(amount);
    }

    function _release(
        Order calldata order,
        bytes32 jobId,
        Job memory job,
        Lot calldata lot,
        bytes32 lotHash,
        Shares memory shares
    ) internal {
        if (lot.keyCommit != 0) revert RenderEscrow_LotSealed(lotHash);
        _checkNeverCommitted(lotHash);
        uint96 amount = _take(order, jobId, job, lot);
        (uint96 fee, uint96 burnt) = _pay(order, job, lot.mask, amount, shares);
        (uint96 free, uint64 seq) = _credit(lot.node, amount - fee - burnt);
        emit Released(
            jobId, lot.node, lotHash, lot, amount, fee, burnt, job.released, job.seq, free, seq
        );
    }

    function _commit(
        Order calldata order,
        bytes32 jobId,
        Job memory job,
        Lot calldata lot,
        bytes32 lotHash,
        bool approved
    ) internal {
        _checkNeverCommitted(lotHash);
        uint96 amount = _take(order, jobId, job, lot);
        job.pending += amount;
        ++job.seq;
        // Fits: 40 bits of seconds last for 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint40 windowEnd = uint40(block.timestamp + order.reviewSeconds);
        _lots[lotHash] = LotRecord(windowEnd, approved ? LOT_APPROVED : LOT_COMMITTED);
        emit Committed(
            jobId, lot.node, lotHash, lot, amount, windowEnd, approved, job.pending, job.seq
        );
    }

    function _settle(
        Order calldata order,
        bytes32 jobId,
        Job memory job,
        Lot calldata lot,
        bytes32 key,
        Shares memory shares
    ) internal {
        bytes32 lotHash = Hashes.lot(jobId, lot);
        uint256 mask = _leftOf(lotHash, lot.mask);
        LotRecord storage record = _lots[lotHash];
        if (record.status == LOT_COMMITTED && block.timestamp < record.windowEnd) {
            revert RenderEscrow_TooEarly(lotHash, record.windowEnd, block.timestamp);
        }
        _checkKey(lotHash, lot.keyCommit, key);
        record.status = LOT_SETTLED;
        // Fits: the same amount was counted into `pending`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 amount = uint96(Units.amount(mask, lot.unitPrice));
        job.pending -= amount;
        (uint96 fee, uint96 burnt) = _pay(order, job, mask, amount, shares);
        _settled(jobId, job, lot.node, lotHash, key, mask, amount, fee, burnt);
    }

    function _settled(
        bytes32 jobId,
        Job memory job,
        address node,
        bytes32 lotHash,
        bytes32 key,
        uint256 mask,
        uint96 amount,
        uint96 fee,
        uint96 burnt
    ) private {
        (uint96 free, uint64 seq) = _credit(node, amount - fee - burnt);
        emit Settled(
            jobId,
            node,
            lotHash,
            key,
            mask,
            amount,
            fee,
            burnt,
            job.released,
            job.pending,
            job.seq,
            free,
            seq
        );
    }

    /// Counts a payment of `mask`'s units and its shares, both rounded down.
    function _pay(
        Order calldata order,
        Job memory job,
        uint256 mask,
        uint96 amount,
        Shares memory shares
    ) private pure returns (uint96 fee, uint96 burnt) {
        job.released += amount;
        // Fits: each unit is paid once, and a job has at most 2^24 - 1 units.
        // forge-lint: disable-next-line(unsafe-typecast)
        job.unitsPaid += uint24(Units.count(mask));
        ++job.seq;
        // Fit: together at most `amount`, since the shares are at most 100 % together.
        // forge-lint: disable-next-line(unsafe-typecast)
        fee = uint96(uint256(amount) * order.feeBps / ALL_BPS);
        // forge-lint: disable-next-line(unsafe-typecast)
        burnt = uint96(uint256(amount) * order.burnBps / ALL_BPS);
        shares.fee += fee;
        shares.burn += burnt;
    }

    function _creditShares(Order calldata order, bytes32 jobId, Shares memory shares) internal {
        if (shares.fee != 0) {
            (uint96 free, uint64 seq) = _credit(order.feeReceiver, shares.fee);
            emit FeeCredited(jobId, order.feeReceiver, shares.fee, free, seq);
        }
        if (shares.burn != 0) {
            (uint96 free, uint64 seq) = _credit(DEAD, shares.burn);
            emit BurnCredited(jobId, shares.burn, free, seq);
        }
    }

    /// Frees units of a lot that was rejected in part or lapsed; their money is the job's again.
    function _unreserve(bytes32 jobId, Job memory job, Lot calldata lot, uint256 mask)
        internal
        returns (uint96 amount)
    {
        _taken[jobId][lot.word] &= ~mask;
        // Fits: the same amount was counted into `pending`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        amount = uint96(Units.amount(mask, lot.unitPrice));
        job.pending -= amount;
        ++job.seq;
    }

    /// A closed job keeps no money but what is pending: the rest goes back at once.
    function _returnIfClosed(Order calldata order, bytes32 jobId, Job memory job, uint96 amount)
        internal
    {
        if (job.status != JOB_CLOSED || amount == 0) return;
        job.funded -= amount;
        ++job.seq;
        (uint96 free, uint64 seq) = _credit(order.refundTo, amount);
        emit Returned(jobId, order.refundTo, amount, job.funded, job.seq, free, seq);
    }

    function _saveMoney(bytes32 jobId, Job memory job) internal {
        Job storage slot = _jobs[jobId];
        slot.funded = job.funded;
        slot.released = job.released;
        slot.unitsPaid = job.unitsPaid;
        slot.seq = job.seq;
        slot.status = job.status;
    }

    function _saveAll(bytes32 jobId, Job memory job) internal {
        _saveMoney(jobId, job);
        _jobs[jobId].pending = job.pending;
    }

    // ---- lots ----

    /// Else its acceptance or an old approval could be used again after a rejection or a lapse.
    function _checkNeverCommitted(bytes32 lotHash) private view {
        uint8 status = _lots[lotHash].status;
        if (status != LOT_NONE) revert RenderEscrow_LotKnown(lotHash, status);
    }

    function _checkRejectable(bytes32 lotHash) internal view {
        LotRecord memory record = _lots[lotHash];
        if (record.status == LOT_NONE) revert RenderEscrow_LotUnknown(lotHash);
        if (record.status != LOT_COMMITTED) {
            revert RenderEscrow_LotDecided(lotHash, record.status);
        }
        if (block.timestamp >= record.windowEnd) {
            revert RenderEscrow_WindowPassed(lotHash, record.windowEnd, block.timestamp);
        }
    }

    /// Units of a live lot that are neither rejected, paid nor lapsed; there is at least one.
    function _leftOf(bytes32 lotHash, uint256 mask) internal view returns (uint256 left) {
        uint8 status = _lots[lotHash].status;
        if (status == LOT_NONE) revert RenderEscrow_LotUnknown(lotHash);
        if (status > LOT_APPROVED) revert RenderEscrow_LotDecided(lotHash, status);
        left = mask & ~_rejected[lotHash];
        if (left == 0) revert RenderEscrow_NothingLeft(lotHash);
    }

    function _checkKey(bytes32 lotHash, bytes32 keyCommit, bytes32 key) private pure {
        if (keyCommit == 0 ? key != 0 : keccak256(abi.encode(key)) != keyCommit) {
            revert RenderEscrow_KeyRefused(lotHash, key, keyCommit);
        }
    }
}
