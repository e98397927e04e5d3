// SPDX-License-Identifier: MIT OR Apache-2.0
// State and money of jobs, and the single steps that the operations on them are made of.
pragma solidity 0.8.37;

import {Hashes, Order, Payout} from "./Order.sol";
import {Roles} from "./Roles.sol";
import {Terms} from "./Terms.sol";

abstract contract Jobs is Roles {
    /// Two slots, packed by hand so that a call reads and writes each at most once: a release
    /// writes only the first, the second stays zero in a plain opening.
    struct Job {
        /// `funded` in the low 96 bits, `released` 96, `unitsPaid` 24, `seq` 32, `status` 8.
        uint256 money;
        /// `pending` in the low 96 bits, `creditShare` 96, `closeRequestedAt` 40.
        uint256 rest;
    }

    /// A job in the hands of one call: read once, changed by each lot, written once.
    struct Work {
        bytes32 jobId;
        uint96 funded;
        uint96 released;
        uint96 pending;
        uint96 creditShare;
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

    uint256 private constant RELEASED_SHIFT = 96;
    uint256 private constant UNITS_PAID_SHIFT = 192;
    uint256 private constant SEQ_SHIFT = 216;
    uint256 private constant STATUS_SHIFT = 248;
    uint256 private constant CREDIT_SHARE_SHIFT = 96;
    uint256 private constant CLOSE_REQUESTED_SHIFT = 192;
    uint256 private constant ALL_BPS = 10_000;
    /// Lots or payouts of one call: this many to new nodes fit in a block of 30 million gas.
    uint256 private constant MAX_COUNT = 256;

    mapping(bytes32 jobId => Job) internal _jobs;

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

    function _checkCount(uint256 count) internal pure {
        if (count == 0 || count > MAX_COUNT) revert RenderEscrow_CountRefused(count, MAX_COUNT);
    }

    // ---- money of a job ----

    /// The job to be, if its order may open now.
    function _openable(Order calldata order, bytes32 jobId)
        private
        view
        returns (Work memory work)
    {
        _checkRunning();
        _checkTerms(order);
        if (block.timestamp >= order.openBy) {
            revert RenderEscrow_DeadlinePassed(jobId, order.openBy, block.timestamp);
        }
        work = _loadJob(jobId);
        if (work.status != JOB_NONE) revert RenderEscrow_JobKnown(jobId, work.status);
    }

    /// Opens from the funder's credit, then its free balance; what lacks is returned, for the
    /// caller to pull from its allowance, or is refused.
    function _open(Order calldata order, bytes32 jobId, address funder, bool pulls)
        internal
        returns (uint96 pulled)
    {
        Work memory work = _openable(order, jobId);
        (uint96 free, uint96 credit, uint64 seq) = account(funder);
        uint96 ofCredit = 0;
        if (credit != 0 && funder == order.payer && _takesCredit(order.settler)) {
            ofCredit = credit < order.cap ? credit : order.cap;
            work.creditShare = ofCredit;
        }
        uint96 ofFree = order.cap - ofCredit;
        if (pulls && free < ofFree) {
            pulled = ofFree - free;
            ofFree = free;
        }
        (free, credit, seq) = _spend(funder, ofFree, ofCredit);
        work.funded = order.cap;
        work.seq = 1;
        work.status = JOB_OPEN;
        // In a plain opening the second slot stays zero, unwritten.
        if (ofCredit == 0) _saveMoney(work);
        else _saveAll(work);
        emit Opened(jobId, order.payer, funder, order, ofCredit, pulled, free, credit, seq);
    }

    function _load(Order calldata order) internal view returns (Work memory) {
        return _loadJob(_hashTypedDataV4(Hashes.order(order)));
    }

    function _loadJob(bytes32 jobId) internal view returns (Work memory work) {
        Job storage job = _jobs[jobId];
        uint256 money = job.money;
        uint256 rest = job.rest;
        work.jobId = jobId;
        // Each cast cuts off what belongs to the others.
        // forge-lint: disable-start(unsafe-typecast)
        work.funded = uint96(money);
        work.released = uint96(money >> RELEASED_SHIFT);
        work.unitsPaid = uint24(money >> UNITS_PAID_SHIFT);
        work.seq = uint32(money >> SEQ_SHIFT);
        work.status = uint8(money >> STATUS_SHIFT);
        work.pending = uint96(rest);
        work.creditShare = uint96(rest >> CREDIT_SHARE_SHIFT);
        work.closeRequestedAt = uint40(rest >> CLOSE_REQUESTED_SHIFT);
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// The first slot alone, for calls that leave the second as it was.
    function _saveMoney(Work memory work) internal {
        _jobs[work.jobId].money = uint256(work.funded) | (uint256(work.released) << RELEASED_SHIFT)
            | (uint256(work.unitsPaid) << UNITS_PAID_SHIFT) | (uint256(work.seq) << SEQ_SHIFT)
            | (uint256(work.status) << STATUS_SHIFT);
    }

    function _saveAll(Work memory work) internal {
        _saveMoney(work);
        _jobs[work.jobId].rest = uint256(work.pending)
            | (uint256(work.creditShare) << CREDIT_SHARE_SHIFT)
            | (uint256(work.closeRequestedAt) << CLOSE_REQUESTED_SHIFT);
    }

    function _affordable(Work memory work, uint256 amount) internal pure returns (uint96) {
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

    /// One payout of a redemption of `cumulative`.
    function _redeem(
        Order calldata order,
        Work memory work,
        Payout calldata payout,
        uint96 cumulative
    ) internal {
        address node = payout.node;
        uint96 amount = payout.amount;
        _checkAccount(node);
        if (amount == 0) revert RenderEscrow_AmountZero();
        if (amount > cumulative - work.released) {
            revert RenderEscrow_PayoutsWrong(work.jobId, amount, cumulative - work.released);
        }
        (uint96 fee, uint96 burnt, uint96 rest) = _pay(order, work, 0, amount);
        (uint96 free, uint64 seq) = _credit(node, rest);
        emit Redeemed(work.jobId, node, amount, fee, burnt, work.released, work.seq, free, seq);
    }

    /// Counts a payment of `count` units and splits it: both shares rounded down, the rest is the
    /// node's.
    function _pay(Order calldata order, Work memory work, uint256 count, uint96 amount)
        internal
        pure
        returns (uint96 fee, uint96 burnt, uint96 rest)
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
            rest = amount - fee - burnt;
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

    /// A closed job keeps no money but what is pending: the rest goes back at once. Credit is spent
    /// first, so what is left of it is what was neither paid nor may still be.
    function _returnIfClosed(Order calldata order, Work memory work, uint96 amount) internal {
        if (work.status != JOB_CLOSED) return;
        uint96 used = work.released + work.pending;
        uint96 ofCredit = work.creditShare > used ? work.creditShare - used : 0;
        if (ofCredit != 0) {
            work.creditShare -= ofCredit;
            work.funded -= ofCredit;
            ++work.seq;
            (uint96 credit, uint64 seq) = _addCredit(order.payer, ofCredit);
            emit CreditReturned(
                work.jobId, order.payer, ofCredit, work.funded, work.seq, credit, seq
            );
        }
        if (amount != ofCredit) {
            uint96 ofFree = amount - ofCredit;
            work.funded -= ofFree;
            ++work.seq;
            (uint96 free, uint64 seq) = _credit(order.refundTo, ofFree);
            emit Returned(work.jobId, order.refundTo, ofFree, work.funded, work.seq, free, seq);
        }
    }
}
