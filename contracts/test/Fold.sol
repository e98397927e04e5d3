// SPDX-License-Identifier: MIT OR Apache-2.0
// The escrow's state rebuilt from its events alone; the first broken promise is kept as a text.
pragma solidity 0.8.37;

import {IRenderEscrow as I} from "../src/IRenderEscrow.sol";
import {Lot, Order} from "../src/Order.sol";
import {Vm} from "./Vm.sol";

contract Fold {
    struct JobState {
        Order order;
        uint256 funded;
        uint256 released;
        uint256 pending;
        uint256 unitsPaid;
        uint256 seq;
        uint256 status;
        uint256 closeRequestedAt;
    }

    struct LotState {
        bytes32 jobId;
        Lot lot;
        uint256 status;
        uint256 windowEnd;
        uint256 rejected;
    }

    /// Whose consent the call that is folded had, by calling or by signing.
    struct Consent {
        address owner;
        bool settler;
        bool payerSide;
    }

    address private constant DEAD = 0x000000000000000000000000000000000000dEaD;

    string public broken;
    Consent private consent;
    uint256 private feeDue;
    uint256 private burnDue;

    address[] public owners;
    mapping(address owner => uint256) public free;
    mapping(address owner => uint256) public seq;
    bytes32[] public jobIds;
    mapping(bytes32 jobId => JobState) private jobs;
    bytes32[] public lotHashes;
    mapping(bytes32 lotHash => LotState) private lots;
    mapping(bytes32 jobId => mapping(uint32 word => uint256)) public taken;
    mapping(bytes32 jobId => mapping(uint32 word => uint256)) public paid;
    mapping(bytes32 topic => uint256) public seen;

    function jobOf(bytes32 jobId) external view returns (JobState memory) {
        return jobs[jobId];
    }

    function lotOf(bytes32 lotHash) external view returns (LotState memory) {
        return lots[lotHash];
    }

    function counts() external view returns (uint256, uint256, uint256) {
        return (owners.length, jobIds.length, lotHashes.length);
    }

    /// Folds the events of one call of the escrow.
    function fold(Vm.Log[] calldata logs, address escrow, Consent calldata given) external {
        consent = given;
        (feeDue, burnDue) = (0, 0);
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == escrow) _one(logs[i]);
        }
        _must(feeDue == 0, "I10: a fee that no account got");
        _must(burnDue == 0, "I10: a burn that no account got");
    }

    function _one(Vm.Log calldata log) private {
        bytes32 topic = log.topics[0];
        ++seen[topic];
        if (topic == I.Deposited.selector) _deposited(log);
        else if (topic == I.Withdrawn.selector) _withdrawn(log);
        else if (topic == I.Burned.selector) _burned(log);
        else if (topic == I.FeeCredited.selector) _feeCredited(log);
        else if (topic == I.BurnCredited.selector) _burnCredited(log);
        else if (topic == I.Opened.selector) _opened(log);
        else if (topic == I.ToppedUp.selector) _toppedUp(log);
        else if (topic == I.Released.selector) _released(log);
        else if (topic == I.Committed.selector) _committed(log);
        else if (topic == I.Approved.selector) _approved(log);
        else if (topic == I.Rejected.selector) _rejected(log);
        else if (topic == I.Settled.selector) _settled(log);
        else if (topic == I.Lapsed.selector) _lapsed(log);
        else if (topic == I.CloseRequested.selector) _closeRequested(log);
        else if (topic == I.Closed.selector) _closed(log);
        else if (topic == I.Returned.selector) _returned(log);
        else _must(false, "an unknown event");
    }

    // ---- accounts ----

    function _deposited(Vm.Log calldata log) private {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        _add(_owner(log, 1), amount, left, n);
    }

    function _withdrawn(Vm.Log calldata log) private {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        _must(_owner(log, 1) == consent.owner, "I5: withdrawn without the owner");
        _subtract(_owner(log, 1), amount, left, n);
    }

    function _burned(Vm.Log calldata log) private {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        _subtract(DEAD, amount, left, n);
    }

    function _feeCredited(Vm.Log calldata log) private {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        address to = _owner(log, 2);
        _must(to == jobs[log.topics[1]].order.feeReceiver, "I10: a fee to another account");
        _must(amount == feeDue, "I10: another fee than its lots");
        feeDue = 0;
        _add(to, amount, left, n);
    }

    function _burnCredited(Vm.Log calldata log) private {
        (uint256 amount, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256));
        _must(amount == burnDue, "I10: another burn than its lots");
        burnDue = 0;
        _add(DEAD, amount, left, n);
    }

    // ---- jobs ----

    function _opened(Vm.Log calldata log) private {
        (Order memory order,, uint256 pulled, uint256 left,, uint256 n) =
            abi.decode(log.data, (Order, uint256, uint256, uint256, uint256, uint256));
        bytes32 jobId = log.topics[1];
        JobState storage job = jobs[jobId];
        _must(job.status == 0, "a job that opened twice");
        _must(_owner(log, 2) == order.payer, "another payer than the order's");
        _must(_owner(log, 3) == consent.owner, "I5: opened without the funder");
        job.order = order;
        job.funded = order.cap;
        job.seq = 1;
        job.status = 1;
        jobIds.push(jobId);
        _subtract(_owner(log, 3), order.cap - pulled, left, n);
    }

    function _toppedUp(Vm.Log calldata log) private {
        (uint256 amount, uint256 funded, uint256 jobSeq, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        _must(job.status == 1, "a top-up of a job that is not open");
        _must(_owner(log, 2) == consent.owner, "I5: topped up without the owner");
        job.funded += amount;
        _must(job.funded == funded, "I9: funded after a top-up");
        _subtract(_owner(log, 2), amount, left, n);
    }

    function _released(Vm.Log calldata log) private {
        (
            Lot memory lot,
            uint256 amount,
            uint256 fee,
            uint256 burnt,
            uint256 released,
            uint256 jobSeq,
            uint256 left,
            uint256 n
        ) = abi.decode(
            log.data, (Lot, uint256, uint256, uint256, uint256, uint256, uint256, uint256)
        );
        bytes32 jobId = log.topics[1];
        JobState storage job = _next(jobId, jobSeq);
        _must(job.status == 1, "a release of a job that is not open");
        _must(consent.settler && consent.payerSide, "I5: released without both consents");
        _must(lots[log.topics[3]].status == 0, "I3: released a lot that was committed");
        _must(lot.keyCommit == 0, "a sealed lot released");
        _must(taken[jobId][lot.word] & lot.mask == 0, "I3: paid a unit that was taken");
        taken[jobId][lot.word] |= lot.mask;
        _pay(job, jobId, lot.word, lot.mask, amount, lot.unitPrice);
        _must(job.released == released, "I4: released after a release");
        _shares(job.order, amount, fee, burnt);
        _add(_owner(log, 2), amount - fee - burnt, left, n);
    }

    function _committed(Vm.Log calldata log) private {
        (
            Lot memory lot,
            uint256 amount,
            uint256 windowEnd,
            bool approved,
            uint256 pending,
            uint256 jobSeq
        ) = abi.decode(log.data, (Lot, uint256, uint256, bool, uint256, uint256));
        bytes32 jobId = log.topics[1];
        JobState storage job = _next(jobId, jobSeq);
        _must(job.status == 1, "a commit to a job that is not open");
        _must(consent.settler, "I5: committed without the settler");
        _must(consent.payerSide || !approved, "I5: approved without the payer's side");
        _must(lots[log.topics[3]].status == 0, "I3: a lot committed twice");
        _must(taken[jobId][lot.word] & lot.mask == 0, "I3: reserved a unit that was taken");
        _must(windowEnd == block.timestamp + job.order.reviewSeconds, "another window");
        taken[jobId][lot.word] |= lot.mask;
        job.pending += amount;
        _must(amount == _bits(lot.mask) * lot.unitPrice, "I9: amount of a commit");
        _must(job.pending == pending, "I9: pending after a commit");
        lots[log.topics[3]] = LotState(jobId, lot, approved ? 2 : 1, windowEnd, 0);
        lotHashes.push(log.topics[3]);
    }

    function _approved(Vm.Log calldata log) private {
        uint256 jobSeq = abi.decode(log.data, (uint256));
        _next(log.topics[1], jobSeq);
        LotState storage lot = lots[log.topics[3]];
        _must(consent.payerSide, "I5: approved without the payer's side");
        _must(lot.status == 1, "approved a lot that was not committed");
        lot.status = 2;
    }

    function _rejected(Vm.Log calldata log) private {
        (uint256 mask,, uint256 amount, uint256 pending, uint256 jobSeq) =
            abi.decode(log.data, (uint256, bytes32, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        LotState storage lot = lots[log.topics[3]];
        _must(consent.payerSide, "I5: rejected without the payer's side");
        _must(lot.status == 1, "I3: rejected a lot that is decided");
        _must(block.timestamp < lot.windowEnd, "I3: rejected after the window");
        _must(mask & lot.rejected == 0, "a unit rejected twice");
        lot.rejected |= mask;
        _unreserve(job, log.topics[1], lot.lot, mask, amount);
        _must(job.pending == pending, "I9: pending after a rejection");
    }

    function _settled(Vm.Log calldata log) private {
        LotState storage lot = lots[log.topics[3]];
        // key, mask, amount, fee, burn, released, pending, jobSeq, free, seq
        uint256[10] memory f = abi.decode(log.data, (uint256[10]));
        JobState storage job = _next(log.topics[1], f[7]);
        bool due = lot.status == 2 || (lot.status == 1 && block.timestamp >= lot.windowEnd);
        _must(due, "I5: settled in an open window");
        _must(f[1] == lot.lot.mask & ~lot.rejected, "settled other units than are left");
        bytes32 key = bytes32(f[0]);
        _must(
            lot.lot.keyCommit == 0 ? key == 0 : keccak256(abi.encode(key)) == lot.lot.keyCommit,
            "settled without its key"
        );
        lot.status = 3;
        job.pending -= f[2];
        _must(job.pending == f[6], "I9: pending after a settle");
        _pay(job, log.topics[1], lot.lot.word, f[1], f[2], lot.lot.unitPrice);
        _must(job.released == f[5], "I4: released after a settle");
        _shares(job.order, f[2], f[3], f[4]);
        _must(_owner(log, 2) == lot.lot.node, "settled to another node");
        _add(lot.lot.node, f[2] - f[3] - f[4], f[8], f[9]);
    }

    function _lapsed(Vm.Log calldata log) private {
        (uint256 mask, uint256 amount, uint256 pending, uint256 jobSeq) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        LotState storage lot = lots[log.topics[2]];
        _must(lot.status == 1 || lot.status == 2, "I3: lapsed a lot that is decided");
        _must(lot.lot.keyCommit != 0, "lapsed an unsealed lot");
        _must(block.timestamp >= lot.windowEnd + job.order.claimGrace, "I3: lapsed in the grace");
        _must(mask == lot.lot.mask & ~lot.rejected, "lapsed other units than are left");
        lot.status = 4;
        _unreserve(job, log.topics[1], lot.lot, mask, amount);
        _must(job.pending == pending, "I9: pending after a lapse");
    }

    function _closeRequested(Vm.Log calldata log) private {
        (uint256 deadline, uint256 jobSeq) = abi.decode(log.data, (uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        _must(consent.payerSide, "I5: asked to close without the payer's side");
        _must(deadline == block.timestamp, "another close time than now");
        _must(job.closeRequestedAt == 0 && job.status == 1, "asked to close twice");
        job.closeRequestedAt = deadline;
    }

    function _closed(Vm.Log calldata log) private {
        uint256 jobSeq = abi.decode(log.data, (uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        uint256 deadline =
            job.closeRequestedAt == 0 ? job.order.workDeadline : job.closeRequestedAt;
        bool ended = block.timestamp >= deadline + job.order.claimGrace;
        _must(job.status == 1, "a job closed twice");
        _must(ended || job.unitsPaid == job.order.units, "I5: closed before its end");
        job.status = 2;
    }

    function _returned(Vm.Log calldata log) private {
        (uint256 amount, uint256 funded, uint256 jobSeq, uint256 left, uint256 n) =
            abi.decode(log.data, (uint256, uint256, uint256, uint256, uint256));
        JobState storage job = _next(log.topics[1], jobSeq);
        _must(job.status == 2, "returned from an open job");
        job.funded -= amount;
        _must(job.funded == funded, "I9: funded after a return");
        _must(_owner(log, 2) == job.order.refundTo, "returned to another account");
        _add(job.order.refundTo, amount, left, n);
    }

    // ---- what events have in common ----

    function _pay(
        JobState storage job,
        bytes32 jobId,
        uint32 word,
        uint256 mask,
        uint256 amount,
        uint256 unitPrice
    ) private {
        _must(paid[jobId][word] & mask == 0, "I3: a unit paid twice");
        _must(taken[jobId][word] & mask == mask, "I3: paid a unit that was not taken");
        _must(amount == _bits(mask) * unitPrice, "I4: another amount than the units'");
        _must(unitPrice <= job.order.maxUnitPrice, "a price above the order's");
        paid[jobId][word] |= mask;
        job.released += amount;
        job.unitsPaid += _bits(mask);
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
        job.pending -= amount;
    }

    function _shares(Order storage order, uint256 amount, uint256 fee, uint256 burnt) private {
        _must(fee == amount * order.feeBps / 10_000, "I10: another fee than signed");
        _must(burnt == amount * order.burnBps / 10_000, "I10: another burn than signed");
        feeDue += fee;
        burnDue += burnt;
    }

    function _next(bytes32 jobId, uint256 jobSeq) private returns (JobState storage job) {
        job = jobs[jobId];
        _must(jobSeq == ++job.seq, "I8: a job's sequence number");
    }

    function _add(address owner, uint256 amount, uint256 left, uint256 n) private {
        if (seq[owner] == 0) owners.push(owner);
        free[owner] += amount;
        _must(free[owner] == left, "I9: free after a credit");
        _must(n == ++seq[owner], "I8: an account's sequence number");
    }

    function _subtract(address owner, uint256 amount, uint256 left, uint256 n) private {
        if (seq[owner] == 0) owners.push(owner);
        _must(amount <= free[owner], "I5: more than was free");
        if (amount <= free[owner]) free[owner] -= amount;
        _must(free[owner] == left, "I9: free after a debit");
        _must(n == ++seq[owner], "I8: an account's sequence number");
    }

    function _owner(Vm.Log calldata log, uint256 topic) private pure returns (address) {
        return address(uint160(uint256(log.topics[topic])));
    }

    function _bits(uint256 mask) private pure returns (uint256 count) {
        for (; mask != 0; mask &= mask - 1) {
            ++count;
        }
    }

    /// Kept, not thrown: a revert here would undo the very call that broke the promise.
    function _must(bool kept, string memory promise_) private {
        if (!kept && bytes(broken).length == 0) broken = promise_;
    }
}
