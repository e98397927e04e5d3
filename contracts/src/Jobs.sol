// SPDX-License-Identifier: MIT OR Apache-2.0
// State of jobs, units and lots, and the single steps that the operations are made of.
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Accounts} from "./Accounts.sol";
import {Consents} from "./Consents.sol";
import {Hashes, Lot, Order} from "./Order.sol";
import {Terms} from "./Terms.sol";
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

    /// A word of 256 units; a struct of its own, so that reading and writing locate it once.
    struct Word {
        uint256 taken;
    }

    /// A job in the hands of one call: read once, changed by each lot, written once.
    struct Work {
        bytes32 jobId;
        uint96 funded;
        uint96 released;
        uint96 pending;
        uint24 unitsPaid;
        uint32 seq;
        uint8 status;
        uint40 closeRequestedAt;
        /// Shares of this call, summed over its lots.
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

    uint256 private constant ALL_BPS = 10_000;
    /// Lots of one call: this many to new nodes still fit in a block of 30 million gas.
    uint256 private constant MAX_LOTS = 256;

    mapping(bytes32 jobId => Job) internal _jobs;
    mapping(bytes32 jobId => mapping(uint32 word => Word)) internal _words;
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
        Terms.check(order);
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
    function _workable(Order calldata order) internal view returns (Work memory work) {
        work = _load(order);
        _checkOpen(work.jobId, work.status);
        uint256 end = _end(order, work.closeRequestedAt);
        if (block.timestamp >= end) {
            revert RenderEscrow_DeadlinePassed(work.jobId, end, block.timestamp);
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

    function _load(Order calldata order) internal view returns (Work memory work) {
        work.jobId = _hashTypedDataV4(Hashes.order(order));
        Job storage job = _jobs[work.jobId];
        work.funded = job.funded;
        work.released = job.released;
        work.unitsPaid = job.unitsPaid;
        work.seq = job.seq;
        work.status = job.status;
        work.pending = job.pending;
        work.closeRequestedAt = job.closeRequestedAt;
    }

    /// The first slot alone, for calls that leave `pending` as it was.
    function _saveMoney(Work memory work) internal {
        Job storage job = _jobs[work.jobId];
        job.funded = work.funded;
        job.released = work.released;
        job.unitsPaid = work.unitsPaid;
        job.seq = work.seq;
        job.status = work.status;
    }

    function _saveAll(Work memory work) internal {
        _saveMoney(work);
        _jobs[work.jobId].pending = work.pending;
    }

    /// Takes the lot's free units and says how many there are and what they cost.
    function _take(Order calldata order, Work memory work, Lot calldata lot)
        private
        returns (uint96, uint256 count)
    {
        _checkAccount(lot.node);
        if (lot.unitPrice > order.maxUnitPrice) {
            revert RenderEscrow_UnitPriceTooHigh(work.jobId, lot.unitPrice, order.maxUnitPrice);
        }
        if (lot.mask == 0 || Units.outside(lot.word, lot.mask, order.units) != 0) {
            revert RenderEscrow_UnitsUnknown(work.jobId, lot.word, lot.mask, order.units);
        }
        Word storage word = _words[work.jobId][lot.word];
        uint256 taken = word.taken;
        if (taken & lot.mask != 0) {
            revert RenderEscrow_UnitsTaken(work.jobId, lot.word, taken & lot.mask);
        }
        word.taken = taken | lot.mask;
        count = Units.count(lot.mask);
        return (_affordable(work, count * lot.unitPrice), count);
    }

    function _affordable(Work memory work, uint256 amount) private pure returns (uint96) {
        uint256 remaining;
        unchecked {
            // `funded` covers both at any time: every step here keeps it so.
            remaining = work.funded - work.released - work.pending;
        }
        if (amount > remaining) revert RenderEscrow_FundsTooLow(work.jobId, amount, remaining);
        // Fits: it is at most `remaining`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(amount);
    }

    function _release(Order calldata order, Work memory work, Lot calldata lot, bytes32 lotHash)
        internal
    {
        if (lot.keyCommit != 0) revert RenderEscrow_LotSealed(lotHash);
        _checkNeverCommitted(lotHash);
        (uint96 amount, uint256 count) = _take(order, work, lot);
        (uint96 fee, uint96 burnt) = _pay(order, work, count, amount);
        (uint96 free, uint64 seq) = _credit(lot.node, amount - fee - burnt);
        emit Released(
            work.jobId,
            lot.node,
            lotHash,
            lot,
            amount,
            fee,
            burnt,
            work.released,
            work.seq,
            free,
            seq
        );
    }

    function _commit(
        Order calldata order,
        Work memory work,
        Lot calldata lot,
        bytes32 lotHash,
        bool approved
    ) internal {
        _checkNeverCommitted(lotHash);
        (uint96 amount,) = _take(order, work, lot);
        work.pending += amount;
        ++work.seq;
        // Fits: 40 bits of seconds last for 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint40 windowEnd = uint40(block.timestamp + order.reviewSeconds);
        _lots[lotHash] = LotRecord(windowEnd, approved ? LOT_APPROVED : LOT_COMMITTED);
        emit Committed(
            work.jobId, lot.node, lotHash, lot, amount, windowEnd, approved, work.pending, work.seq
        );
    }

    function _settle(Order calldata order, Work memory work, Lot calldata lot, bytes32 key)
        internal
    {
        bytes32 lotHash = Hashes.lot(work.jobId, lot);
        uint256 mask = _leftOf(lotHash, lot.mask);
        _endLot(lotHash, lot.keyCommit, key);
        uint256 count = Units.count(mask);
        // Fits: the same amount was counted into `pending`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 amount = uint96(count * lot.unitPrice);
        work.pending -= amount;
        (uint96 fee, uint96 burnt) = _pay(order, work, count, amount);
        (uint96 free, uint64 seq) = _credit(lot.node, amount - fee - burnt);
        emit Settled(
            work.jobId,
            lot.node,
            lotHash,
            key,
            mask,
            amount,
            fee,
            burnt,
            work.released,
            work.pending,
            work.seq,
            free,
            seq
        );
    }

    /// Counts a payment of `count` units and its shares, both rounded down.
    function _pay(Order calldata order, Work memory work, uint256 count, uint96 amount)
        private
        pure
        returns (uint96 fee, uint96 burnt)
    {
        // Fits, all of it: `amount` is within the job's funds, a unit is paid once and a job has
        // at most 2^24 - 1 of them, and fee and burn together are at most `amount`.
        unchecked {
            work.released += amount;
            // forge-lint: disable-next-line(unsafe-typecast)
            work.unitsPaid += uint24(count);
            ++work.seq;
            // forge-lint: disable-next-line(unsafe-typecast)
            fee = uint96(uint256(amount) * order.feeBps / ALL_BPS);
            // forge-lint: disable-next-line(unsafe-typecast)
            burnt = uint96(uint256(amount) * order.burnBps / ALL_BPS);
            work.fee += fee;
            work.burn += burnt;
        }
    }

    function _creditShares(Order calldata order, Work memory work) internal {
        if (work.fee != 0) {
            (uint96 free, uint64 seq) = _credit(order.feeReceiver, work.fee);
            emit FeeCredited(work.jobId, order.feeReceiver, work.fee, free, seq);
        }
        if (work.burn != 0) {
            (uint96 free, uint64 seq) = _credit(DEAD, work.burn);
            emit BurnCredited(work.jobId, work.burn, free, seq);
        }
    }

    /// Frees units of a lot that was rejected in part or lapsed; their money is the job's again.
    function _unreserve(Work memory work, Lot calldata lot, uint256 mask)
        internal
        returns (uint96 amount)
    {
        _words[work.jobId][lot.word].taken &= ~mask;
        // Fits: the same amount was counted into `pending`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        amount = uint96(Units.amount(mask, lot.unitPrice));
        work.pending -= amount;
        ++work.seq;
    }

    /// A closed job keeps no money but what is pending: the rest goes back at once.
    function _returnIfClosed(Order calldata order, Work memory work, uint96 amount) internal {
        if (work.status != JOB_CLOSED || amount == 0) return;
        work.funded -= amount;
        ++work.seq;
        (uint96 free, uint64 seq) = _credit(order.refundTo, amount);
        emit Returned(work.jobId, order.refundTo, amount, work.funded, work.seq, free, seq);
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

    /// Its window has passed or an approval ended it, and the key opens it.
    function _endLot(bytes32 lotHash, bytes32 keyCommit, bytes32 key) private {
        LotRecord storage record = _lots[lotHash];
        if (record.status == LOT_COMMITTED && block.timestamp < record.windowEnd) {
            revert RenderEscrow_TooEarly(lotHash, record.windowEnd, block.timestamp);
        }
        if (keyCommit == 0 ? key != 0 : keccak256(abi.encode(key)) != keyCommit) {
            revert RenderEscrow_KeyRefused(lotHash, key, keyCommit);
        }
        record.status = LOT_SETTLED;
    }
}
