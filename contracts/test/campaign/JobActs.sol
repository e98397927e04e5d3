// SPDX-License-Identifier: MIT OR Apache-2.0
// Random acts on whole jobs: opening them, topping up, redeeming vouchers, asking to end, ending.
pragma solidity 0.8.37;

import {Hashes, Order, Payout} from "../../src/Order.sol";
import {MoneyActs} from "./MoneyActs.sol";

abstract contract JobActs is MoneyActs {
    uint256 private constant MOST_JOBS = 400;
    uint256 private constant LIVELY_JOBS = 3;

    function open(uint256 seed) external {
        seed = _mix(seed);
        if (jobIds.length >= MOST_JOBS) return;
        (Order memory order, bytes32 jobId) = _newOrder(seed);
        // One in eight pays another's job.
        address funder = (seed >> 4) % 8 == 0 ? _person(seed >> 8) : order.payer;
        uint256 ofCredit = _ofCredit(order, funder);
        uint256 free = freeOf[funder];
        uint256 lacks = order.cap - ofCredit > free ? order.cap - ofCredit - free : 0;
        if ((seed >> 12) % 8 != 0) rndr.mint(funder, order.cap);
        bool covered = lacks <= rndr.balanceOf(funder);
        bytes memory data = abi.encodeCall(escrow.open, (order));
        bool expected = _mayOpen(order, jobId) && covered;
        bool token = lacks != 0;
        bool opened = _enterWithToken("open", address(escrow), data, _by(funder), expected, token);
        if (opened && ofCredit != 0) ++done["open with credit"];
        if (opened) _enter("open again", data, _by(funder), false);
    }

    /// By the payer's word, or a delegate's, or of somebody who is neither.
    function openFor(uint256 seed) external {
        seed = _mix(seed);
        if (jobIds.length >= MOST_JOBS) return;
        (Order memory order,) = _newOrder(seed);
        bool delegated = (seed >> 4) % 2 == 0;
        if (delegated) _boundsFor(order, seed >> 8);
        _openFor(seed, order, delegated);
    }

    /// By the delegate of `by`, at this moment and within its bounds.
    function openForAt(uint256 seed, address by) external {
        if (jobIds.length >= MOST_JOBS) return;
        (Order memory order,) = _newOrder(_mix(seed));
        order.payer = by;
        _boundsFor(order, 4 << 80);
        _openFor(1 << 20 | 3 << 48, order, true);
    }

    function _openFor(uint256 seed, Order memory order, bool delegated) private {
        bytes32 jobId = escrow.jobIdOf(order);
        address signer = delegated ? agent : order.payer;
        if ((seed >> 20) % 12 == 0) signer = _person(seed >> 24);
        _bringFree(order.payer, order.cap);
        address caller = (seed >> 32) % 8 == 0 ? signer : _person(seed >> 40);
        Word memory word = _openingWord(seed >> 48, signer, jobId, caller);
        Consent memory given = _by(caller);
        given.signer = _speaks(signer, word) ? signer : address(0);
        bool covered = freeOf[order.payer] + _ofCredit(order, order.payer) >= order.cap;
        bool expected = given.signer != address(0) && covered && _mayBind(order, signer)
            && _mayOpen(order, jobId);
        bytes memory data = abi.encodeCall(escrow.openFor, (order, signer, word.signature));
        string memory act = signer == order.payer ? "openFor" : "openFor by a delegate";
        _enter(act, data, given, expected);
    }

    function topUp(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        if (jobIds.length == 0) return;
        bytes32 jobId = _anyJob(seed);
        address owner = _person(seed >> 64);
        uint96 amount = uint96(any % 5 ether);
        bool expected =
            amount != 0 && amount <= freeOf[owner] && _runs() && jobs[jobId].status == 1;
        bytes memory data = abi.encodeCall(escrow.topUp, (jobId, amount));
        _enter("topUp", data, _by(owner), expected);
    }

    // ---- vouchers ----

    /// Rising totals, old ones, too large ones; payouts that come to another sum; one side alone.
    function redeem(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        if (jobIds.length == 0) return;
        _redeemIn(_jobOfKind(seed, true), seed, any);
    }

    function redeemIn(bytes32 jobId, uint256 seed, uint256 any) external {
        _redeemIn(jobId, _mix(seed), any);
    }

    function _redeemIn(bytes32 jobId, uint256 seed, uint256 any) private {
        Order memory order = jobs[jobId].order;
        uint256 step = any % (1 + _remaining(jobs[jobId]) / (1 + (seed >> 8) % 4));
        uint256 total = jobs[jobId].released + step;
        if ((seed >> 16) % 8 == 0) total = any % (2 + order.cap);
        if ((seed >> 16) % 8 == 1) total = jobs[jobId].funded + (seed >> 24) % 2;
        Payout[] memory payouts = _payoutsOf(seed >> 32, total, jobs[jobId].released);
        _redeem(seed >> 64, jobId, order, uint96(total), payouts);
    }

    function _redeem(
        uint256 seed,
        bytes32 jobId,
        Order memory order,
        uint96 total,
        Payout[] memory payouts
    ) private {
        address caller = seed % 8 == 0 ? order.settler : seed % 8 == 1 ? order.payer : stranger;
        bytes32 voucher = Hashes.voucher(jobId, total);
        bytes32 consent_ = Hashes.redemption(jobId, total, _payoutsHash(payouts));
        Word memory theirs =
            _word(seed >> 8, _sideKey(order, seed >> 24), voucher, consent_, caller);
        Word memory ours = _word(seed >> 40, _keyOf[order.settler], consent_, voucher, caller);
        Consent memory given = _by(caller);
        given.by = _sideOf(order, theirs);
        given.settler = _speaks(order.settler, ours);
        given.cumulative = total;
        bool both = given.settler && given.by != address(0);
        bytes memory data = abi.encodeCall(
            escrow.redeem, (order, total, theirs.signature, payouts, ours.signature)
        );
        _exit("redeem", data, given, both && _mayRedeem(jobId, total, payouts));
    }

    function _payoutsOf(uint256 seed, uint256 total, uint256 released)
        private
        view
        returns (Payout[] memory payouts)
    {
        uint256 due = total > released ? total - released : 1;
        uint256 first = seed % 3 == 0 ? due : (seed >> 8) % (due + 1);
        payouts = new Payout[](first == due ? 1 : 2);
        payouts[0] = Payout((seed >> 4) % 4 == 0 ? _person(seed >> 16) : node, uint96(first));
        if (first != due) payouts[1] = Payout(otherNode, uint96(due - first));
        uint256 wrong = (seed >> 24) % 24;
        if (wrong == 0) payouts[0].node = address(0);
        if (wrong == 1) payouts[0].amount += 1;
        if (wrong == 2 && payouts[0].amount != 0) payouts[0].amount -= 1;
    }

    // ---- ending ----

    function requestClose(uint256 seed) external {
        seed = _mix(seed);
        // Rarely, or no job would live long.
        if (jobIds.length == 0 || seed % 4 != 0) return;
        _requestClose(_anyJob(seed >> 8), seed);
    }

    function requestCloseOf(bytes32 jobId, uint256 seed) external {
        _requestClose(jobId, _mix(seed));
    }

    function _requestClose(bytes32 jobId, uint256 seed) private {
        Order memory order = jobs[jobId].order;
        address caller = (seed >> 16) % 4 == 0 ? order.settler : _person(seed >> 24);
        bytes32 act = Hashes.closeRequest(jobId);
        bytes32 other = Hashes.close(jobId);
        Word memory word = _word(seed >> 32, _sideKey(order, seed >> 48), act, other, caller);
        Consent memory given = _by(caller);
        given.by = _sideOf(order, word);
        bool expected = given.by != address(0) && _mayAskToClose(jobs[jobId]);
        bytes memory data = abi.encodeCall(escrow.requestClose, (order, word.signature));
        _exit("requestClose", data, given, expected);
    }

    /// By anyone without a word, mostly; also by both sides, or with the words of one side twice.
    function close(uint256 seed) external {
        seed = _mix(seed);
        if (jobIds.length == 0) return;
        _closeAs(_anyJob(seed >> 8), seed);
    }

    function closeOf(bytes32 jobId, uint256 seed) external {
        _closeAs(jobId, _mix(seed));
    }

    function _closeAs(bytes32 jobId, uint256 seed) private {
        bool agreed = seed % 8 == 0;
        address caller = (seed >> 16) % 4 == 0 ? jobs[jobId].order.settler : _person(seed >> 24);
        Word memory none = Word("", address(0), false);
        if (!agreed) return _close(jobId, caller, none, none, "close");
        Order memory order = jobs[jobId].order;
        bytes32 act = Hashes.close(jobId);
        bytes32 other = Hashes.closeRequest(jobId);
        Word memory theirs = _word(seed >> 32, _sideKey(order, seed >> 48), act, other, caller);
        Word memory ours = _word(seed >> 64, _keyOf[order.settler], act, other, caller);
        uint256 twice = (seed >> 80) % 6;
        if (twice == 0) ours = theirs;
        if (twice == 1) theirs = ours;
        if (twice < 2) ++tried["close by one side twice"];
        _close(jobId, caller, theirs, ours, "close by both");
    }

    function _close(
        bytes32 jobId,
        address caller,
        Word memory theirs,
        Word memory ours,
        string memory act
    ) private {
        Order memory order = jobs[jobId].order;
        Consent memory given = _by(caller);
        // An empty word is the caller's, unless both are: nobody is both sides.
        if (theirs.signature.length == 0) theirs.who = caller;
        if (ours.signature.length == 0) ours.who = caller;
        given.by = _sideOf(order, theirs);
        given.settler = _speaks(order.settler, ours);
        bool both = given.settler && given.by != address(0);
        bytes memory data = abi.encodeCall(escrow.close, (order, theirs.signature, ours.signature));
        _exit(act, data, given, (both && jobs[jobId].status == 1) || _mayClose(jobs[jobId]));
    }

    // ---- picking ----

    function _anyJob(uint256 seed) internal view returns (bytes32) {
        return jobIds[_pick(seed, jobIds.length, LIVELY_JOBS)];
    }

    /// Mostly a job of the kind asked for: with units, or for vouchers.
    function _jobOfKind(uint256 seed, bool vouchers) internal view returns (bytes32 jobId) {
        jobId = _anyJob(seed);
        uint256 count = jobIds.length;
        if (seed >> 251 == 0) return jobId;
        uint256 from = (seed >> 4) % (count < LIVELY_JOBS ? count : LIVELY_JOBS);
        for (uint256 i = from; i < count + from; ++i) {
            jobId = jobIds[(2 * count - 1 - i) % count];
            if ((jobs[jobId].order.units == 0) == vouchers && jobs[jobId].status == 1) break;
        }
    }

    // ---- terms ----

    /// Mostly good terms, of two or three payers, two settlers, units or vouchers.
    function _newOrder(uint256 seed) internal returns (Order memory order, bytes32 jobId) {
        uint256 bits = _mix(seed);
        order = _order();
        order.payer = cast[bits % 3];
        uint256 who = (bits >> 8) % 8;
        order.approver = who < 3
            ? address(0)
            : who < 6 ? approver : who == 6 ? hostileWallets[(bits >> 16) % 8] : address(wallet);
        order.refundTo = (bits >> 24) % 2 == 0 ? order.payer : _person(bits >> 32);
        order.settler = (bits >> 40) % 4 == 0 ? otherSettler : settler;
        order.units = (bits >> 48) % 3 == 0 ? 0 : uint32(1 + (bits >> 56) % 520);
        order.cap = uint96(1 + (bits >> 72) % 60 ether);
        order.maxUnitPrice = uint96(0.1 ether + (bits >> 136) % 0.1 ether);
        order.feeBps = uint16((bits >> 200) % 1001);
        order.burnBps = uint16((bits >> 212) % (10_001 - order.feeBps));
        if ((bits >> 224) % 4 == 0) (order.feeBps, order.feeReceiver) = (0, address(0));
        order.salt = bytes32(bits);
        _datesOf(order, _mix(bits));
        if (bits >> 252 == 0) _spoil(order, _mix(bits) >> 128);
        jobId = escrow.jobIdOf(order);
    }

    function _datesOf(Order memory order, uint256 bits) private view {
        order.openBy = uint40(block.timestamp + 1);
        order.workDeadline = uint40(order.openBy + bits % 3 days);
        order.reviewSeconds = uint40(10 minutes + (bits >> 32) % 4 hours);
        order.claimGrace = uint40(1 hours + (bits >> 64) % 4 hours);
    }

    /// One term out of its bounds by one.
    function _spoil(Order memory order, uint256 bits) private {
        ++tried["order out of bounds"];
        uint256 term = bits % 12;
        if (term == 0) order.openBy = uint40(block.timestamp);
        if (term == 1) order.openBy = order.workDeadline + 1;
        if (term == 2) order.reviewSeconds = 10 minutes - 1;
        if (term == 3) order.reviewSeconds = 14 days + 1;
        if (term == 4) order.claimGrace = 1 hours - 1;
        if (term == 5) order.claimGrace = 14 days + 1;
        if (term == 6) order.feeBps = 1001;
        if (term == 7) order.burnBps = 10_001 - order.feeBps;
        if (term == 8) order.settler = order.payer;
        if (term == 9) order.refundTo = address(escrow);
        if (term == 10) (order.feeBps, order.feeReceiver) = (1, address(0));
        if (term == 11) order.cap = 0;
    }

    /// Terms that the agent's bounds mostly allow; each bound is also overstepped by one.
    function _boundsFor(Order memory order, uint256 bits) private {
        Grant storage grant = grants[order.payer][agent];
        order.refundTo = order.payer;
        if (grant.settler != address(0)) order.settler = grant.settler;
        uint256 most = grant.allowance < grant.maxPerJob ? grant.allowance : grant.maxPerJob;
        order.cap = uint96(1 + (bits >> 8) % (1 + most / (1 + bits % 4)));
        uint256 way = (bits >> 80) % 12;
        if (way == 0) order.cap = uint96(most + 1);
        if (way == 1) order.settler = order.settler == settler ? otherSettler : settler;
        if (way == 2) order.refundTo = agent;
        if (way == 3) order.cap = uint96(grant.maxPerJob + 1);
        if (way == 4 && most != 0) order.cap = uint96(most);
        if (way < 4) ++tried["delegate beyond its bounds"];
    }

    function _openingWord(uint256 seed, address signer, bytes32 jobId, address caller)
        private
        returns (Word memory word)
    {
        uint256 key = _keyOf[signer];
        if (key == 0) key = STRANGER_KEY;
        word = _word(seed, key, 0, Hashes.close(jobId), caller);
        // An order is signed as it stands: its jobId is the digest.
        if (seed % 24 > 2) word.signature = _sign(key, jobId);
        else if (seed % 24 == 1) word.who = address(0);
    }

    /// What the payer lacks in its account, mostly.
    function _bringFree(address owner, uint256 amount) private {
        if (freeOf[owner] >= amount || !_runs()) return;
        rndr.mint(owner, amount);
        bytes memory data = abi.encodeCall(escrow.deposit, (uint96(amount)));
        _enterWithToken("deposit", address(escrow), data, _by(owner), amount != 0, true);
    }
}
