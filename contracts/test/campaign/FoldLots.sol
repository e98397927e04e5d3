// SPDX-License-Identifier: MIT OR Apache-2.0
// Folds the events of lots and payouts: what is proposed, approved, rejected, paid, lapsed.
pragma solidity 0.8.37;

import {Lot, Order} from "../../src/Order.sol";
import {Vm} from "../Vm.sol";
import {FoldAccounts} from "./FoldAccounts.sol";

abstract contract FoldLots is FoldAccounts {
    uint256 private constant MIN_REVIEW = 10 minutes;

    function _released(Vm.Log memory log) internal {
        (Lot memory lot, uint256[7] memory f) = abi.decode(log.data, (Lot, uint256[7]));
        // amount, fee, burn, released, jobSeq, free, seq
        bytes32 jobId = log.topics[1];
        JobState storage job = _next(jobId, f[4]);
        _must(_works(job), "I19: released in a job that takes no work");
        _must(consent.settler && consent.by != address(0), "I5: released by one side alone");
        _must(lots[log.topics[3]].status == 0, "I3: released a lot that was committed");
        _must(lot.keyCommit == 0, "I22: a sealed lot released");
        _must(escrow.lotHashOf(jobId, lot) == log.topics[3], "I9: another lot than its hash");
        _reserve(job, jobId, lot);
        _payUnits(job, jobId, lot, lot.mask, f[0]);
        _must(job.released == f[3], "I4: released after a release");
        _must(_topic(log, 2) == lot.node, "I16: released to another node");
        _payNode(job, lot.node, [f[0], f[1], f[2], f[5], f[6]]);
    }

    function _committed(Vm.Log memory log) internal {
        (Lot memory lot, uint256[5] memory f) = abi.decode(log.data, (Lot, uint256[5]));
        // amount, windowEnd, approved, pending, jobSeq
        bytes32 jobId = log.topics[1];
        JobState storage job = _next(jobId, f[4]);
        bool approved = f[2] != 0;
        _must(_works(job), "I19: committed to a job that takes no work");
        _must(consent.settler, "I5: committed without the settler");
        _must(!approved || consent.by != address(0), "I5: approved without the payer's side");
        _must(lots[log.topics[3]].status == 0, "I3: a lot committed twice");
        _must(escrow.lotHashOf(jobId, lot) == log.topics[3], "I9: another lot than its hash");
        _must(_topic(log, 2) == lot.node, "I16: committed to another node");
        _must(f[1] == block.timestamp + job.order.reviewSeconds, "I20: another window");
        _must(f[1] >= block.timestamp + MIN_REVIEW, "I20: a window that is too short");
        _reserve(job, jobId, lot);
        _must(f[0] == _bits(lot.mask) * lot.unitPrice, "I9: amount of a commit");
        job.pending += f[0];
        _must(job.pending == f[3], "I9: pending after a commit");
        lots[log.topics[3]] = LotState(jobId, lot, approved ? 2 : 1, f[1], 0);
        lotHashes.push(log.topics[3]);
    }

    function _approved(Vm.Log memory log) internal {
        _next(log.topics[1], abi.decode(log.data, (uint256)));
        LotState storage lot = lots[log.topics[3]];
        _mustBy(log, "approved");
        _must(lot.status == 1, "I20: approved a lot that is decided or unknown");
        _must(lot.lot.mask != lot.rejected, "I20: approved a lot of which nothing is left");
        _must(lot.jobId == log.topics[1], "I9: a lot of another job");
        lot.status = 2;
    }

    function _rejected(Vm.Log memory log) internal {
        (uint256 mask,, uint256 amount, uint256 pending, uint256 jobSeq) =
            abi.decode(log.data, (uint256, bytes32, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        LotState storage lot = lots[log.topics[3]];
        _mustBy(log, "rejected");
        _must(lot.jobId == log.topics[1], "I9: a lot of another job");
        _must(lot.status == 1, "I20: rejected a lot that is decided");
        _must(block.timestamp < lot.windowEnd, "I20: rejected after the window");
        _must(mask & lot.rejected == 0, "I3: a unit rejected twice");
        _must(mask != 0 && mask & ~lot.lot.mask == 0, "I3: rejected units of another lot");
        lot.rejected |= mask;
        _unreserve(job, log.topics[1], lot.lot, mask, amount);
        _must(job.pending == pending, "I9: pending after a rejection");
    }

    function _settled(Vm.Log memory log) internal {
        LotState storage lot = lots[log.topics[3]];
        // key, mask, amount, fee, burn, released, pending, jobSeq, free, seq
        uint256[10] memory f = abi.decode(log.data, (uint256[10]));
        JobState storage job = _next(log.topics[1], f[7]);
        bool due = lot.status == 2 || (lot.status == 1 && block.timestamp >= lot.windowEnd);
        _must(due, "I20: settled in an open window, or twice");
        _must(f[1] == lot.lot.mask & ~lot.rejected, "I3: settled other units than are left");
        _must(f[1] != 0, "I3: settled no units");
        bytes32 key = bytes32(f[0]);
        bytes32 sealed_ = lot.lot.keyCommit;
        bool opens = sealed_ == 0 ? key == 0 : keccak256(abi.encode(key)) == sealed_;
        _must(opens, "I22: settled without its key");
        _must(lot.jobId == log.topics[1], "I9: a lot of another job");
        lot.status = 3;
        _must(f[2] <= job.pending, "I2: settled more than was pending");
        if (f[2] <= job.pending) job.pending -= f[2];
        _must(job.pending == f[6], "I9: pending after a settle");
        _payUnits(job, log.topics[1], lot.lot, f[1], f[2]);
        _must(job.released == f[5], "I4: released after a settle");
        _must(_topic(log, 2) == lot.lot.node, "I16: settled to another node");
        _payNode(job, lot.lot.node, [f[2], f[3], f[4], f[8], f[9]]);
    }

    function _lapsed(Vm.Log memory log) internal {
        (uint256 mask, uint256 amount, uint256 pending, uint256 jobSeq) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        LotState storage lot = lots[log.topics[2]];
        uint256 from = lot.windowEnd + job.order.claimGrace;
        _must(lot.jobId == log.topics[1], "I9: a lot of another job");
        _must(lot.status == 1 || lot.status == 2, "I21: lapsed a lot that is decided");
        _must(lot.lot.keyCommit != 0, "I21: lapsed an unsealed lot");
        _must(block.timestamp >= from, "I21: lapsed in the grace");
        _must(mask == lot.lot.mask & ~lot.rejected, "I21: lapsed other units than are left");
        lot.status = 4;
        _unreserve(job, log.topics[1], lot.lot, mask, amount);
        _must(job.pending == pending, "I9: pending after a lapse");
    }

    function _redeemed(Vm.Log memory log) internal {
        // amount, fee, burn, released, jobSeq, free, seq
        uint256[7] memory f = abi.decode(log.data, (uint256[7]));
        JobState storage job = _next(log.topics[1], f[4]);
        _must(_works(job), "I19: redeemed in a job that takes no work");
        _must(job.order.units == 0, "I14: a voucher in a job with units");
        _must(consent.settler && consent.by != address(0), "I5: redeemed by one side alone");
        _must(f[0] != 0, "I14: a payout of nothing");
        _paysOut(job, f[0]);
        _must(job.released == f[3], "I14: released after a redemption");
        _must(f[3] <= consent.cumulative, "I14: more than the voucher says");
        _payNode(job, _topic(log, 2), [f[0], f[1], f[2], f[5], f[6]]);
    }

    // ---- what these have in common ----

    function _mustBy(Vm.Log memory log, string memory what) internal {
        address by = _topic(log, 2);
        Order storage order = jobs[log.topics[1]].order;
        _must(consent.by != address(0), string.concat("I5: ", what, " without the payer's side"));
        bool named = by == order.payer || by == order.approver;
        _must(named && by == consent.by, string.concat("I25: another than who ", what));
    }

    function _reserve(JobState storage job, bytes32 jobId, Lot memory lot) private {
        _must(taken[jobId][lot.word] & lot.mask == 0, "I3: took a unit that was taken");
        _must(lot.mask & ~_units(job, lot.word) == 0, "I27: took a unit beyond the job's");
        _must(lot.mask != 0, "I27: took no units");
        _must(lot.unitPrice <= job.order.maxUnitPrice, "I27: a price above the order's");
        _must(lot.node != address(0) && lot.node != address(escrow), "I16: a node of no account");
        taken[jobId][lot.word] |= lot.mask;
    }

    function _payUnits(
        JobState storage job,
        bytes32 jobId,
        Lot memory lot,
        uint256 mask,
        uint256 amount
    ) private {
        _must(paid[jobId][lot.word] & mask == 0, "I3: a unit paid twice");
        _must(taken[jobId][lot.word] & mask == mask, "I3: paid a unit that was not taken");
        _must(amount == _bits(mask) * lot.unitPrice, "I4: another amount than the units'");
        paid[jobId][lot.word] |= mask;
        job.unitsPaid += _bits(mask);
        _must(job.unitsPaid <= job.order.units, "I27: more units paid than there are");
        _paysOut(job, amount);
    }

    function _paysOut(JobState storage job, uint256 amount) private {
        job.released += amount;
        _must(job.released <= job.funded, "I27: more released than funded");
        if (amount <= totalInJobs) totalInJobs -= amount;
    }

    /// amount, fee, burn, free and seq of a payment.
    function _payNode(JobState storage job, address to, uint256[5] memory f) private {
        _must(f[1] == f[0] * job.order.feeBps / 10_000, "I10: another fee than signed");
        _must(f[2] == f[0] * job.order.burnBps / 10_000, "I10: another burn than signed");
        _must(f[1] + f[2] <= f[0], "I10: shares above the amount");
        feeDue += f[1];
        burnDue += f[2];
        uint256 rest = f[1] + f[2] <= f[0] ? f[0] - f[1] - f[2] : 0;
        job.toNodes += rest;
        _add(to, rest, f[3], f[4]);
    }

    function _unreserve(
        JobState storage job,
        bytes32 jobId,
        Lot storage lot,
        uint256 mask,
        uint256 amount
    ) private {
        _must(taken[jobId][lot.word] & mask == mask, "I3: freed a unit that was not taken");
        _must(paid[jobId][lot.word] & mask == 0, "I3: freed a unit that was paid");
        _must(amount == _bits(mask) * lot.unitPrice, "I9: another amount than the units'");
        taken[jobId][lot.word] &= ~mask;
        _must(amount <= job.pending, "I2: freed more than was pending");
        if (amount <= job.pending) job.pending -= amount;
    }
}
