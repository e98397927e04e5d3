// SPDX-License-Identifier: MIT OR Apache-2.0
// All acts of a campaign: those of money, jobs and lots, time, and what is checked at its end.
pragma solidity 0.8.37;

import {Order} from "../../src/Order.sol";
import {LotActs} from "./LotActs.sol";

abstract contract Acts is LotActs {
    function setUp() public override {
        _deploy();
        _setTheStage();
        bytes memory data = abi.encodeCall(escrow.nameSettler, (settler));
        _enter("nameSettler", data, _by(issuer), true);
        for (uint256 i = 0; i < 3; ++i) {
            rndr.mint(issuer, 20 ether);
            data = abi.encodeCall(escrow.issueCredit, (cast[i], 20 ether));
            _enter("issueCredit", data, _by(issuer), true);
            uint40 expiry = uint40(START + 1 days);
            data =
                abi.encodeCall(escrow.setDelegate, (agent, settler, 100 ether, 60 ether, expiry));
            _exit("setDelegate", data, _by(cast[i]), true);
        }
    }

    function _deploy() internal virtual {
        super.setUp();
    }

    function selectors() public pure virtual returns (bytes4[] memory) {
        return _acts();
    }

    // ---- time ----

    function pass(uint256 seed) external {
        uint256 most = _mix(seed) % 128 == 0 ? 31 days : 30 minutes;
        vm.warp(block.timestamp + (_mix(seed) >> 8) % most);
    }

    /// To the seconds around a date that something hangs on.
    function passToADate(uint256 seed) external {
        seed = _mix(seed);
        if (lotHashes.length == 0 || jobIds.length == 0) return;
        LotState memory lot = _anyLot(seed >> 64);
        JobState storage job = jobs[seed % 2 == 0 ? lot.jobId : _anyJob(seed >> 64)];
        uint256 which = (seed >> 8) % 8;
        uint256 date = lot.windowEnd;
        if (which == 1 || which == 2) date += jobs[lot.jobId].order.claimGrace;
        if (which == 3) date = _endOf(job);
        if (which == 4) date = job.order.workDeadline;
        if (which == 5) date = pausedUntil;
        if (which == 6) date = grants[job.order.payer][agent].expiry;
        date += (seed >> 16) % 3;
        if (date > block.timestamp + 1 && date < block.timestamp + 5 hours) vm.warp(date - 1);
    }

    /// In the last second before a date, at it or in the first after it, the act that it limits.
    function atADate(uint256 seed, uint256 any) external {
        if (jobIds.length == 0) return;
        uint256 bits = _mix(seed);
        bytes32 jobId = _anyJob(bits >> 64);
        JobState storage job = jobs[jobId];
        uint256 which = bits % 4;
        uint256 date = which < 2 ? _endOf(job) : job.order.workDeadline;
        if (which == 3) date = grants[job.order.payer][agent].expiry;
        date += (bits >> 16) % 3;
        bool near = date > block.timestamp && date < block.timestamp + 5 hours;
        if (!near || job.status != 1) return;
        vm.warp(date - 1);
        // By calls, so that each reads the new time.
        if (which == 3) return this.openForAt(seed, job.order.payer);
        if (which == 2) return this.requestCloseOf(jobId, seed);
        if (which == 1) return this.closeOf(jobId, seed);
        if (job.order.units == 0) this.redeemIn(jobId, seed, any);
        else this.takeIn(jobId, seed, any);
    }

    /// To the second in which the guardian may pause again, or the one before.
    function passToThePause(uint256 seed) external {
        uint256 date = pausedUntil + 30 days - _mix(seed) % 2;
        bool due = pausedUntil != 0 && date > block.timestamp;
        // Rarely: no job outlives it.
        if (due && (_mix(seed) >> 8) % 8 == 0) vm.warp(date);
    }

    function passLong() external virtual {
        vm.warp(block.timestamp + 60 days);
    }

    // ---- at the end ----

    /// I9, I3, I8, I24: what is stored is what the events told.
    function checkStorage() external {
        for (uint256 i = 0; i < owners.length; ++i) {
            (uint96 free, uint96 credit, uint64 seq) = escrow.account(owners[i]);
            vm.assertEq(free, freeOf[owners[i]], "I9: free");
            vm.assertEq(credit, creditOf[owners[i]], "I9: credit");
            vm.assertEq(seq, seqOf[owners[i]], "I8: account");
        }
        for (uint256 i = 0; i < jobIds.length; ++i) {
            _checkStoredJob(jobIds[i], jobs[jobIds[i]]);
        }
        for (uint256 i = 0; i < lotHashes.length; ++i) {
            LotState storage lot = lots[lotHashes[i]];
            _checkLot(lotHashes[i], lot.status, lot.windowEnd, lot.rejected);
        }
        for (uint256 i = 0; i < pairs.length; ++i) {
            _checkStoredGrant(pairs[i][0], pairs[i][1]);
        }
        (address issuer_, address guardian_, address named, uint40 until, uint56 seq_) =
            escrow.offices();
        vm.assertTrue(issuer_ == issuer && guardian_ == guardian, "I24: another in office");
        vm.assertEq(named, creditSettler, "I9: the settler that takes credit");
        vm.assertEq(until, pausedUntil, "I9: the end of the pause");
        vm.assertEq(seq_, officesSeq, "I8: offices");
    }

    function _checkStoredJob(bytes32 jobId, JobState storage job) private view {
        _checkJob(jobId, job.funded, job.released, job.pending, job.unitsPaid, job.seq, job.status);
        (,,,,,, uint40 asked, uint96 share) = escrow.job(jobId);
        vm.assertEq(asked, job.closeRequestedAt, "I9: closeRequestedAt");
        vm.assertEq(share, job.creditShare, "I9: creditShare");
        for (uint32 word = 0; word < 4; ++word) {
            uint256 isTaken = escrow.takenUnits(jobId, word);
            vm.assertEq(isTaken, taken[jobId][word], "I3: taken units");
            vm.assertEq(isTaken & paid[jobId][word], paid[jobId][word], "I3: paid units");
        }
    }

    function _checkStoredGrant(address by, address who) private view {
        (address named, uint96 allowance, uint96 maxPerJob, uint40 expiry) =
            escrow.delegate(by, who);
        Grant storage grant = grants[by][who];
        vm.assertEq(named, grant.settler, "I9: the delegate's settler");
        vm.assertEq(allowance, grant.allowance, "I9: the delegate's allowance");
        vm.assertEq(maxPerJob, grant.maxPerJob, "I9: the delegate's bound for one job");
        vm.assertEq(expiry, grant.expiry, "I9: the delegate's expiry");
    }

    /// I6: after all dates a stranger who knows only the logs, and no key of a sealed lot, ends
    /// every lot and job, everybody withdraws, and what stays are donations and credit.
    function walkOut() external {
        _beforeTheWalkOut();
        for (uint256 i = 0; i < lotHashes.length; ++i) {
            _endLot(lots[lotHashes[i]]);
        }
        for (uint256 i = 0; i < jobIds.length; ++i) {
            JobState storage job = jobs[jobIds[i]];
            bytes memory data = abi.encodeCall(escrow.close, (job.order, "", ""));
            if (job.status == 1) _exit("close", data, _by(stranger), true);
            vm.assertEq(job.pending, 0, "I6: pending after the end");
            vm.assertEq(job.funded, job.released, "I6: money left in a job");
            vm.assertEq(job.status, 2, "I6: a job that did not close");
        }
        for (uint256 i = 0; i < owners.length; ++i) {
            _withdrawAll(owners[i]);
        }
        uint256 holds = rndr.balanceOf(address(escrow));
        vm.assertEq(holds, donated + totalCredit, "I6: what is left are donations and credit");
        vm.assertEq(totalCreditShare + totalCredit, creditIssued, "I7: credit that is nowhere");
    }

    function _beforeTheWalkOut() internal virtual {}

    function _endLot(LotState storage lot) private {
        if (lot.status > 2 || _left(lot) == 0) return;
        Order memory order = jobs[lot.jobId].order;
        if (lot.lot.keyCommit != 0) {
            bytes memory data = abi.encodeCall(escrow.lapse, (order, lot.lot));
            _exit("lapse", data, _by(stranger), true);
        } else {
            bytes memory data = abi.encodeCall(escrow.settle, (order, _one(lot.lot), _keys(0)));
            _exit("settle", data, _by(stranger), true);
        }
    }

    function _withdrawAll(address owner) private {
        uint96 free = uint96(freeOf[owner]);
        if (free == 0) return;
        Consent memory given = _by(owner);
        given.signer = owner;
        bytes memory data = owner == DEAD
            ? abi.encodeCall(escrow.burn, ())
            : abi.encodeCall(escrow.withdraw, (free, owner));
        _exitWithToken("withdraw at the end", data, given, true, true);
    }

    function _acts() internal pure returns (bytes4[] memory acts) {
        acts = new bytes4[](34);
        (acts[0], acts[1]) = (this.deposit.selector, this.depositFor.selector);
        (acts[2], acts[3]) = (this.holdInEscrow.selector, this.withdraw.selector);
        (acts[4], acts[5]) = (this.burn.selector, this.donate.selector);
        (acts[6], acts[7]) = (this.issueCredit.selector, this.nameSettler.selector);
        (acts[8], acts[9]) = (this.setDelegate.selector, this.revokeDelegate.selector);
        (acts[10], acts[11]) = (this.pause.selector, this.unpause.selector);
        (acts[12], acts[13]) = (this.open.selector, this.openFor.selector);
        (acts[14], acts[15]) = (this.topUp.selector, this.release.selector);
        (acts[16], acts[17]) = (this.commit.selector, this.approve.selector);
        (acts[18], acts[19]) = (this.reject.selector, this.settle.selector);
        (acts[20], acts[21]) = (this.lapse.selector, this.redeem.selector);
        (acts[22], acts[23]) = (this.requestClose.selector, this.close.selector);
        (acts[24], acts[25]) = (this.pass.selector, this.passToADate.selector);
        (acts[26], acts[27]) = (this.changeMind.selector, this.recommit.selector);
        (acts[28], acts[29]) = (this.passToThePause.selector, this.commit.selector);
        (acts[32], acts[33]) = (this.atADate.selector, this.atADate.selector);
        (acts[30], acts[31]) = (this.passToADate.selector, this.openFor.selector);
    }
}
