// SPDX-License-Identifier: MIT OR Apache-2.0
// The escrow's state rebuilt from its events alone: jobs, and which event is folded where.
pragma solidity 0.8.37;

import {IRenderEscrow as I} from "../../src/IRenderEscrow.sol";
import {Order} from "../../src/Order.sol";
import {Vm} from "../Vm.sol";
import {FoldLots} from "./FoldLots.sol";

abstract contract Fold is FoldLots {
    bytes32 private constant TRANSFER = keccak256("Transfer(address,address,uint256)");

    /// Folds the events of one call and checks what must hold after it.
    function _fold(Vm.Log[] memory logs, Consent memory given) internal {
        consent = given;
        (feeDue, burnDue, agentDue) = (0, 0, 0);
        (inDue, outDue) = (0, 0);
        delete touched;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(escrow)) _one(logs[i]);
            else if (logs[i].topics[0] == TRANSFER) _moved(logs[i]);
        }
        _must(feeDue == 0, "I10: a fee that no account got");
        _must(burnDue == 0, "I10: a burn that no account got");
        _must(agentDue == 0, "I12: a delegate's opening that lowered no allowance");
        _must(inDue == 0 && outDue == 0, "I17: the token moved another amount than told");
        for (uint256 i = 0; i < touched.length; ++i) {
            _jobHolds(jobs[touched[i]]);
        }
        _totalsHold();
    }

    function _one(Vm.Log memory log) private {
        bytes32 topic = log.topics[0];
        ++seen[topic];
        if (topic == I.Deposited.selector) _deposited(log);
        else if (topic == I.Withdrawn.selector) _withdrawn(log);
        else if (topic == I.Burned.selector) _burned(log);
        else if (topic == I.FeeCredited.selector) _feeCredited(log);
        else if (topic == I.BurnCredited.selector) _burnCredited(log);
        else if (topic == I.CreditIssued.selector) _creditIssued(log);
        else if (topic == I.DelegateSet.selector) _delegateSet(log);
        else if (topic == I.DelegateRevoked.selector) _delegateRevoked(log);
        else if (topic == I.DelegateSpent.selector) _delegateSpent(log);
        else if (topic == I.CreditSettlerNamed.selector) _creditSettlerNamed(log);
        else if (topic == I.Paused.selector) _paused(log);
        else _oneOfAJob(topic, log);
    }

    function _oneOfAJob(bytes32 topic, Vm.Log memory log) private {
        if (topic == I.Opened.selector) _opened(log);
        else if (topic == I.ToppedUp.selector) _toppedUp(log);
        else if (topic == I.Released.selector) _released(log);
        else if (topic == I.Committed.selector) _committed(log);
        else if (topic == I.Approved.selector) _approved(log);
        else if (topic == I.Rejected.selector) _rejected(log);
        else if (topic == I.Settled.selector) _settled(log);
        else if (topic == I.Lapsed.selector) _lapsed(log);
        else if (topic == I.Redeemed.selector) _redeemed(log);
        else if (topic == I.CloseRequested.selector) _closeRequested(log);
        else if (topic == I.Closed.selector) _closed(log);
        else if (topic == I.Returned.selector) _returned(log);
        else if (topic == I.CreditReturned.selector) _creditReturned(log);
        else _must(false, "I9: an unknown event");
    }

    // ---- jobs ----

    function _opened(Vm.Log memory log) private {
        (Order memory order, uint256[5] memory f) = abi.decode(log.data, (Order, uint256[5]));
        // creditSpent, pulled, free, credit, seq
        bytes32 jobId = log.topics[1];
        JobState storage job = jobs[jobId];
        _must(job.status == 0, "I18: a job that opened twice");
        _must(escrow.jobIdOf(order) == jobId, "I18: an id that is not the terms' digest");
        _must(_topic(log, 2) == order.payer, "I18: another payer than the order's");
        _must(block.timestamp < order.openBy, "I18: opened too late");
        _mustRun("I23: opened in a pause");
        job.order = order;
        (job.seq, job.status) = (1, 1);
        _takes(job, order.cap);
        jobIds.push(jobId);
        touched.push(jobId);
        _funded(jobId, job, _topic(log, 3), f);
    }

    function _funded(bytes32 jobId, JobState storage job, address funder, uint256[5] memory f)
        private
    {
        address signer = consent.signer;
        if (signer == address(0)) {
            _must(funder == consent.caller, "I5: opened without the funder");
        } else {
            _must(funder == job.order.payer, "I5: opened on another account");
            _must(f[1] == 0, "I5: pulled tokens by a signature alone");
            if (signer != funder) agentDue = jobId;
        }
        if (f[0] != 0) {
            _must(funder == job.order.payer, "I29: another's credit spent");
            _must(job.order.settler == creditSettler, "I29: credit for another settler");
        }
        _must(f[0] <= creditOf[funder] && f[0] + f[1] <= job.order.cap, "I29: too much credit");
        job.creditShare = f[0];
        totalCreditShare += f[0];
        creditOf[funder] -= f[0];
        totalCredit -= f[0];
        _must(creditOf[funder] == f[3], "I9: credit after an opening");
        inDue += int256(f[1]);
        _subtract(funder, job.order.cap - f[0] - f[1], f[2], f[4]);
        _must(f[1] == 0 || f[2] == 0, "I5: pulled tokens before free was spent");
    }

    function _toppedUp(Vm.Log memory log) private {
        (uint256 amount, uint256 funded, uint256 jobSeq, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        _must(job.status == 1, "I26: a top-up of a job that is not open");
        _must(_topic(log, 2) == consent.caller, "I5: topped up without the owner");
        _mustRun("I23: topped up in a pause");
        _takes(job, amount);
        job.toppedUp += amount;
        _must(job.funded == funded, "I9: funded after a top-up");
        _subtract(_topic(log, 2), amount, left, n);
    }

    function _closeRequested(Vm.Log memory log) private {
        (uint256 deadline, uint256 jobSeq) = abi.decode(log.data, (uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        _mustBy(log, "asked to close");
        _must(deadline == block.timestamp, "I28: another close time than now");
        _must(deadline < job.order.workDeadline, "I28: asked to close too late");
        _must(job.closeRequestedAt == 0 && job.status == 1, "I28: asked to close twice");
        job.closeRequestedAt = deadline;
    }

    function _closed(Vm.Log memory log) private {
        JobState storage job = _next(log.topics[1], abi.decode(log.data, (uint256)));
        bool ended = block.timestamp >= _endOf(job);
        bool allPaid = job.order.units != 0 && job.unitsPaid == job.order.units;
        bool agreed = consent.settler && consent.by != address(0);
        _must(job.status == 1, "I26: a job closed twice");
        _must(ended || allPaid || agreed, "I28: closed before its end by one side alone");
        job.status = 2;
    }

    function _returned(Vm.Log memory log) private {
        (uint256 amount, uint256 funded, uint256 jobSeq, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        _must(_topic(log, 2) == job.order.refundTo, "I16: returned to another account");
        _must(job.creditShare <= job.released + job.pending, "I7: credit was not returned first");
        _gives(job, amount, funded);
        _must(job.funded == job.released + job.pending, "I7: another amount than is left");
        _add(job.order.refundTo, amount, left, n);
    }

    function _creditReturned(Vm.Log memory log) private {
        (uint256 amount, uint256 funded, uint256 jobSeq, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        uint256 used = job.released + job.pending;
        _must(_topic(log, 2) == job.order.payer, "I7: credit returned to another");
        _must(used + amount == job.creditShare, "I7: other credit than was not used");
        _gives(job, amount, funded);
        if (amount <= job.creditShare) {
            job.creditShare -= amount;
            totalCreditShare -= amount;
        }
        _addCredit(job.order.payer, amount, left, n);
    }

    // ---- after each call ----

    function _jobHolds(JobState storage job) private {
        uint256 used = job.released + job.pending;
        _must(used <= job.funded, "I2: more paid and pending than funded");
        _must(job.status == 1 || used == job.funded, "I2: remaining in a closed job");
        _must(job.status == 1 || job.creditShare <= used, "I7: unused credit in a closed job");
        uint256 came = uint256(job.order.cap) + job.toppedUp;
        _must(job.funded + job.returned == came, "I16: other money than came");
        uint256 went = job.toNodes + job.toFee + job.toBurn;
        _must(job.released == went, "I4: other payments than released");
        bool voucher = job.order.units == 0;
        _must(!voucher || job.pending == 0, "I14: lots in a voucher job");
        // A redemption pays the whole difference; any other call leaves the total alone.
        bool redeems = voucher && consent.cumulative != 0;
        _must(!redeems || job.released == consent.cumulative, "I14: not the voucher's total");
    }

    function _totalsHold() private {
        uint256 owed = totalFree + totalCredit + totalInJobs;
        _must(rndr.balanceOf(address(escrow)) == owed + donated, "I1: held, owed and donated");
        _must(totalCredit + totalCreditShare == creditIssued, "I7: credit that is nowhere");
    }
}
