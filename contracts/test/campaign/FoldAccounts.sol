// SPDX-License-Identifier: MIT OR Apache-2.0
// Folds the events of accounts, delegates and offices, and what the token itself says it moved.
pragma solidity 0.8.37;

import {Vm} from "../Vm.sol";
import {Ledger} from "./Ledger.sol";

abstract contract FoldAccounts is Ledger {
    uint256 private constant MAX_PAUSE = 7 days;
    uint256 private constant PAUSE_REST = 30 days;

    /// A `Transfer` of the token: to or from the escrow it moves only what an event has told.
    function _moved(Vm.Log memory log) internal {
        int256 amount = int256(abi.decode(log.data, (uint256)));
        address from = _topic(log, 1);
        if (_topic(log, 2) == address(escrow)) {
            inDue -= amount;
            bool own = from == consent.caller || from == consent.signer;
            _must(own, "I17: pulled from another account");
        }
        if (from != address(escrow)) return;
        outDue -= amount;
        address to = _topic(log, 2);
        _must(to == consent.signer || to == DEAD, "I17: sent to another account");
    }

    function _deposited(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        inDue += int256(amount);
        _must(_topic(log, 2) == consent.caller, "I5: deposited another's tokens");
        _mustRun("I23: a deposit in a pause");
        _add(_topic(log, 1), amount, left, n);
    }

    function _withdrawn(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        outDue += int256(amount);
        _must(_topic(log, 1) == consent.caller, "I5: withdrawn without the owner");
        // The caller of a withdrawal names in `signer` where it wants the money.
        _must(_topic(log, 2) == consent.signer, "I5: withdrawn to another account");
        _subtract(_topic(log, 1), amount, left, n);
    }

    function _burned(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        outDue += int256(amount);
        _subtract(DEAD, amount, left, n);
        _must(left == 0, "I10: a part of the burns was kept");
    }

    function _feeCredited(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        JobState storage job = jobs[log.topics[1]];
        address to = _topic(log, 2);
        _must(to == job.order.feeReceiver, "I10: a fee to another account");
        _must(amount == feeDue && amount != 0, "I10: another fee than its lots");
        feeDue = 0;
        job.toFee += amount;
        _add(to, amount, left, n);
    }

    function _burnCredited(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        _must(amount == burnDue && amount != 0, "I10: another burn than its lots");
        burnDue = 0;
        jobs[log.topics[1]].toBurn += amount;
        _add(DEAD, amount, left, n);
    }

    function _creditIssued(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        inDue += int256(amount);
        creditIssued += amount;
        _must(consent.caller == issuer, "I24: credit by another than the issuer");
        _mustRun("I23: credit issued in a pause");
        _addCredit(_topic(log, 1), amount, left, n);
    }

    function _addCredit(address owner, uint256 amount, uint256 left, uint256 n) internal {
        _count(owner, n);
        creditOf[owner] += amount;
        totalCredit += amount;
        _must(creditOf[owner] == left, "I9: credit after it grew");
    }

    // ---- delegates ----

    function _delegateSet(Vm.Log memory log) internal {
        (uint256 allowance, uint256 maxPerJob, uint256 expiry, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256));
        (address by, address agent) = (_topic(log, 1), _topic(log, 2));
        _must(by == consent.caller, "I5: a delegate set by another");
        _must(expiry > block.timestamp, "I12: a delegate that has expired already");
        if (!grants[by][agent].known) pairs.push([by, agent]);
        grants[by][agent] = Grant(_topic(log, 3), allowance, maxPerJob, expiry, allowance, 0, true);
        _count(by, n);
    }

    function _delegateRevoked(Vm.Log memory log) internal {
        uint256 n = abi.decode(log.data, (uint256));
        (address by, address agent) = (_topic(log, 1), _topic(log, 2));
        _must(by == consent.caller, "I5: a delegate revoked by another");
        grants[by][agent] = Grant(address(0), 0, 0, 0, 0, 0, true);
        _count(by, n);
    }

    function _delegateSpent(Vm.Log memory log) internal {
        (uint256 amount, uint256 left, uint256 jobSeq) =
            abi.decode(log.data, (uint256, uint256, uint256));
        bytes32 jobId = log.topics[1];
        JobState storage job = _next(jobId, jobSeq);
        (address by, address agent) = (_topic(log, 2), _topic(log, 3));
        Grant storage grant = grants[by][agent];
        _must(agentDue == jobId && jobSeq == 2, "I12: spent without an opening");
        agentDue = 0;
        _must(agent == consent.signer, "I5: a delegate's word that it did not give");
        _must(by == job.order.payer && amount == job.order.cap, "I12: spent another amount");
        _must(block.timestamp < grant.expiry, "I12: a delegate that was revoked or expired");
        _must(job.order.settler == grant.settler, "I12: another settler than named");
        _must(job.order.refundTo == by, "I12: what returns goes to another than the payer");
        _must(amount <= grant.maxPerJob, "I12: a cap above the bound for one job");
        grant.opened += amount;
        _must(grant.opened <= grant.granted, "I12: caps above the allowance");
        if (amount <= grant.allowance) grant.allowance -= amount;
        _must(grant.allowance == left, "I9: allowance after an opening");
        job.agent = agent;
    }

    // ---- offices ----

    function _creditSettlerNamed(Vm.Log memory log) internal {
        _must(consent.caller == issuer, "I24: a settler named by another than the issuer");
        _office(abi.decode(log.data, (uint256)));
        creditSettler = _topic(log, 1);
    }

    function _paused(Vm.Log memory log) internal {
        (uint256 until, uint256 n) = abi.decode(log.data, (uint256, uint256));
        _must(consent.caller == guardian, "I24: paused by another than the guardian");
        bool ends = block.timestamp < pausedUntil;
        if (ends) {
            _must(until == block.timestamp, "I23: a pause made longer");
        } else {
            uint256 from = pausedUntil == 0 ? 0 : pausedUntil + PAUSE_REST;
            _must(block.timestamp >= from, "I23: paused again too soon");
            _must(until <= block.timestamp + MAX_PAUSE, "I23: paused for too long");
            _must(until > block.timestamp, "I23: a pause that has ended already");
        }
        pausedUntil = until;
        _office(n);
    }

    function _office(uint256 n) private {
        _must(n == ++officesSeq, "I8: the offices' sequence number");
    }

    function _mustRun(string memory promise_) internal {
        _must(block.timestamp >= pausedUntil, promise_);
    }
}
