// SPDX-License-Identifier: MIT OR Apache-2.0
// What the rules say of each call, from the events so far alone: whether it must be taken.
pragma solidity 0.8.37;

import {Lot, Order, Payout} from "../../src/Order.sol";
import {Stage} from "./Stage.sol";

abstract contract Model is Stage {
    uint256 private constant MOST = 256;

    function _runs() internal view returns (bool) {
        return block.timestamp >= pausedUntil;
    }

    function _isAccount(address owner) internal view returns (bool) {
        return owner != address(0) && owner != address(escrow);
    }

    // ---- opening ----

    function _mayOpen(Order memory order, bytes32 jobId) internal view returns (bool) {
        bool now_ = _runs() && block.timestamp < order.openBy && jobs[jobId].status == 0;
        return now_ && _rolesFit(order) && _figuresFit(order);
    }

    function _rolesFit(Order memory order) private view returns (bool) {
        bool accounts =
            _isAccount(order.payer) && _isAccount(order.refundTo) && _isAccount(order.settler);
        bool fee = order.feeBps == 0 || _isAccount(order.feeReceiver);
        return accounts && fee && order.settler != order.payer && order.settler != order.approver;
    }

    function _figuresFit(Order memory order) private pure returns (bool) {
        bool priced = order.maxUnitPrice != 0 || order.units == 0;
        bool sized = order.cap != 0 && order.units < 2 ** 24 && priced;
        bool dated = order.openBy <= order.workDeadline && order.reviewSeconds >= 10 minutes
            && order.reviewSeconds <= 14 days && order.claimGrace >= 1 hours
            && order.claimGrace <= 14 days;
        bool shared = order.feeBps <= 1000 && uint256(order.feeBps) + order.burnBps <= 10_000;
        return sized && dated && shared;
    }

    function _ofCredit(Order memory order, address funder) internal view returns (uint256) {
        if (funder != order.payer || order.settler != creditSettler) return 0;
        uint256 credit = creditOf[funder];
        return credit < order.cap ? credit : order.cap;
    }

    /// The signer is the payer, or a delegate of it whose bounds the order keeps.
    function _mayBind(Order memory order, address signer) internal view returns (bool) {
        if (signer == order.payer) return true;
        Grant storage grant = grants[order.payer][signer];
        bool live = block.timestamp < grant.expiry && order.settler == grant.settler;
        bool within = order.cap <= grant.allowance && order.cap <= grant.maxPerJob;
        return live && within && order.refundTo == order.payer;
    }

    // ---- lots and payouts ----

    function _remaining(JobState storage job) internal view returns (uint256) {
        return job.funded - job.released - job.pending;
    }

    /// The job takes these lots: units free, existing, priced, paid for, and no lot known.
    function _mayTake(bytes32 jobId, Lot[] memory list, bool sealedToo)
        internal
        view
        returns (bool)
    {
        JobState storage job = jobs[jobId];
        if (!_works(job) || list.length == 0 || list.length > MOST) return false;
        uint256 sum = 0;
        for (uint256 i = 0; i < list.length; ++i) {
            Lot memory lot = list[i];
            if (!_isAccount(lot.node) || lot.unitPrice > job.order.maxUnitPrice) return false;
            if (lot.mask == 0 || lot.mask & ~_units(job, lot.word) != 0) return false;
            uint256 gone = taken[jobId][lot.word];
            for (uint256 j = 0; j < i; ++j) {
                if (list[j].word == lot.word) gone |= list[j].mask;
            }
            if (gone & lot.mask != 0 || (lot.keyCommit != 0 && !sealedToo)) return false;
            if (lots[escrow.lotHashOf(jobId, lot)].status != 0) return false;
            sum += _bits(lot.mask) * lot.unitPrice;
        }
        return sum <= _remaining(job);
    }

    function _left(LotState storage lot) internal view returns (uint256) {
        return lot.lot.mask & ~lot.rejected;
    }

    function _mayApprove(LotState storage lot) internal view returns (bool) {
        return lot.status == 1 && _left(lot) != 0;
    }

    function _mayReject(LotState storage lot, uint256 mask) internal view returns (bool) {
        bool open = lot.status == 1 && block.timestamp < lot.windowEnd;
        return open && mask & ~lot.rejected != 0 && mask & ~lot.lot.mask == 0;
    }

    function _maySettle(LotState storage lot, bytes32 key) internal view returns (bool) {
        bool due = lot.status == 2 || (lot.status == 1 && block.timestamp >= lot.windowEnd);
        bytes32 sealed_ = lot.lot.keyCommit;
        bool opens = sealed_ == 0 ? key == 0 : keccak256(abi.encode(key)) == sealed_;
        return due && opens && _left(lot) != 0;
    }

    function _mayLapse(LotState storage lot) internal view returns (bool) {
        bool live = (lot.status == 1 || lot.status == 2) && _left(lot) != 0;
        uint256 from = lot.windowEnd + jobs[lot.jobId].order.claimGrace;
        return live && lot.lot.keyCommit != 0 && block.timestamp >= from;
    }

    function _mayRedeem(bytes32 jobId, uint256 cumulative, Payout[] memory payouts)
        internal
        view
        returns (bool)
    {
        JobState storage job = jobs[jobId];
        if (!_works(job) || job.order.units != 0 || cumulative <= job.released) return false;
        if (payouts.length == 0 || payouts.length > MOST) return false;
        uint256 sum = 0;
        for (uint256 i = 0; i < payouts.length; ++i) {
            if (!_isAccount(payouts[i].node) || payouts[i].amount == 0) return false;
            sum += payouts[i].amount;
        }
        uint256 due = cumulative - job.released;
        return sum == due && due <= _remaining(job);
    }

    // ---- ending ----

    function _mayAskToClose(JobState storage job) internal view returns (bool) {
        bool first = job.status == 1 && job.closeRequestedAt == 0;
        return first && block.timestamp < job.order.workDeadline;
    }

    /// By anyone.
    function _mayClose(JobState storage job) internal view returns (bool) {
        bool allPaid = job.order.units != 0 && job.unitsPaid == job.order.units;
        return job.status == 1 && (allPaid || block.timestamp >= _endOf(job));
    }
}
