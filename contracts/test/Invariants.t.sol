// SPDX-License-Identifier: MIT OR Apache-2.0
// What stays true whatever anybody does, in any order, at any time.
pragma solidity 0.8.37;

import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Fixture} from "./Fixture.sol";
import {Fold} from "./Fold.sol";
import {Handlers} from "./Handlers.sol";

contract InvariantsTest is Fixture {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handlers private handlers;
    Fold private fold;

    function setUp() public override {
        super.setUp();
        handlers = new Handlers(escrow, rndr);
        fold = handlers.fold();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handlers);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handlers), _acts());
    }

    /// I1: the escrow holds what it owes: free balances and what jobs have not paid.
    function invariant_I1_HoldsWhatItOwes() public view {
        (uint256 owners, uint256 jobs,) = fold.counts();
        uint256 owed = 0;
        for (uint256 i = 0; i < owners; ++i) {
            owed += _free(fold.owners(i));
        }
        for (uint256 i = 0; i < jobs; ++i) {
            (uint96 funded, uint96 released,,,,,,) = escrow.job(fold.jobIds(i));
            owed += funded - released;
        }
        uint256 holds = rndr.balanceOf(address(escrow));
        vm.assertEq(holds, owed + handlers.donated(), "I1: held, owed and donated");
    }

    /// I2: a job's money is paid, pending or remaining; nothing remains once it is closed.
    function invariant_I2_JobsMoneyIsInOnePlace() public view {
        (, uint256 jobs,) = fold.counts();
        for (uint256 i = 0; i < jobs; ++i) {
            (uint96 funded, uint96 released, uint96 pending,,, uint8 status,,) =
                escrow.job(fold.jobIds(i));
            vm.assertGe(funded, uint256(released) + pending, "I2: funded");
            uint256 remaining = uint256(funded) - released - pending;
            vm.assertTrue(status == 1 || remaining == 0, "I2: remaining in a closed job");
        }
    }

    /// I3: paid bits never clear, reserved ones only by rejection or lapse, lots commit once.
    function invariant_I3_UnitsAreTakenAsTheEventsSay() public view {
        (, uint256 jobs,) = fold.counts();
        for (uint256 i = 0; i < jobs; ++i) {
            bytes32 jobId = fold.jobIds(i);
            for (uint32 word = 0; word < 4; ++word) {
                uint256 taken = escrow.takenUnits(jobId, word);
                uint256 paid = fold.paid(jobId, word);
                vm.assertEq(taken, fold.taken(jobId, word), "I3: taken units");
                vm.assertEq(taken & paid, paid, "I3: a paid unit that is free");
            }
        }
        _nothingBroken();
    }

    /// I4: the payments of a job add up to what it released.
    function invariant_I4_PaymentsAddUp() public view {
        (, uint256 jobs,) = fold.counts();
        for (uint256 i = 0; i < jobs; ++i) {
            bytes32 jobId = fold.jobIds(i);
            (, uint96 released,, uint32 unitsPaid,,,,) = escrow.job(jobId);
            vm.assertEq(released, fold.jobOf(jobId).released, "I4: released");
            vm.assertEq(unitsPaid, fold.jobOf(jobId).unitsPaid, "I4: unitsPaid");
        }
    }

    /// I5: no path without the consents it needs.
    function invariant_I5_NothingWithoutConsent() public view {
        vm.assertEq(handlers.intrusions(), 0, "I5: calls without consent that succeeded");
        _nothingBroken();
    }

    /// I6: every lot and job can be ended by anyone from the logs alone, and all money leaves.
    function invariant_I6_EverythingHasAnExit() public {
        uint256 before = vm.snapshotState();
        vm.warp(block.timestamp + 60 days);
        (, uint256 jobs, uint256 lots) = fold.counts();
        for (uint256 i = 0; i < lots; ++i) {
            _endLot(fold.lotHashes(i));
        }
        for (uint256 i = 0; i < jobs; ++i) {
            Fold.JobState memory job = fold.jobOf(fold.jobIds(i));
            if (job.status != 1) continue;
            vm.prank(stranger);
            escrow.close(job.order, "", "");
        }
        for (uint256 i = 0; i < jobs; ++i) {
            (uint96 funded, uint96 released, uint96 pending,,, uint8 status,,) =
                escrow.job(fold.jobIds(i));
            vm.assertEq(pending, 0, "I6: pending after the end");
            vm.assertEq(funded, released, "I6: money left in a job");
            vm.assertEq(status, 2, "I6: a job that did not close");
        }
        _everybodyWithdraws();
        uint256 holds = rndr.balanceOf(address(escrow));
        vm.assertEq(holds, handlers.donated(), "I6: what is left are donations");
        vm.revertToState(before);
    }

    /// I8: sequence numbers rise by exactly one per event.
    function invariant_I8_SequenceNumbersHaveNoGaps() public view {
        (uint256 owners, uint256 jobs,) = fold.counts();
        for (uint256 i = 0; i < owners; ++i) {
            (,, uint64 seq) = escrow.account(fold.owners(i));
            vm.assertEq(seq, fold.seq(fold.owners(i)), "I8: account");
        }
        for (uint256 i = 0; i < jobs; ++i) {
            (,,,, uint32 seq,,,) = escrow.job(fold.jobIds(i));
            vm.assertEq(seq, fold.jobOf(fold.jobIds(i)).seq, "I8: job");
        }
        _nothingBroken();
    }

    /// I9: what the events tell is what the storage holds.
    function invariant_I9_EventsTellTheWholeState() public view {
        (uint256 owners, uint256 jobs, uint256 lots) = fold.counts();
        for (uint256 i = 0; i < owners; ++i) {
            address owner = fold.owners(i);
            vm.assertEq(_free(owner), fold.free(owner), "I9: free");
        }
        for (uint256 i = 0; i < jobs; ++i) {
            _sameJob(fold.jobIds(i));
        }
        for (uint256 i = 0; i < lots; ++i) {
            Fold.LotState memory told = fold.lotOf(fold.lotHashes(i));
            _checkLot(fold.lotHashes(i), told.status, told.windowEnd, told.rejected);
        }
        _nothingBroken();
    }

    /// I10: fee and burn are the signed shares, per lot, rounded down, to the signed accounts.
    function invariant_I10_SharesAreTheSignedOnes() public view {
        _nothingBroken();
    }

    /// A long fixed walk: proves that the acts above reach every path, not only refusals.
    function test_ActsReachEveryPath() public {
        bytes4[] memory acts = _acts();
        for (uint256 i = 0; i < 3000; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 other = uint256(keccak256(abi.encode("mask", i)));
            bytes memory data = abi.encodePacked(acts[(seed >> 128) % acts.length], seed, other);
            (bool done,) = address(handlers).call(data);
            done;
        }
        _allReached();
        _allHold();
    }

    function _allReached() private view {
        string[17] memory paths = [
            "deposit",
            "depositFor",
            "withdraw",
            "burn",
            "open",
            "openFor",
            "topUp",
            "release",
            "commit",
            "commit approved",
            "approve",
            "reject",
            "reject again",
            "settle",
            "lapse",
            "requestClose",
            "close"
        ];
        for (uint256 i = 0; i < paths.length; ++i) {
            string memory missing = string.concat("never reached ", paths[i]);
            vm.assertGe(handlers.done(paths[i]), 1, missing);
        }
        vm.assertGe(fold.seen(IRenderEscrow.Returned.selector), 1, "never reached Returned");
        vm.assertGe(fold.seen(IRenderEscrow.FeeCredited.selector), 1, "never reached a fee");
        vm.assertGe(fold.seen(IRenderEscrow.BurnCredited.selector), 1, "never reached a burn");
    }

    function _allHold() private {
        invariant_I1_HoldsWhatItOwes();
        invariant_I2_JobsMoneyIsInOnePlace();
        invariant_I3_UnitsAreTakenAsTheEventsSay();
        invariant_I4_PaymentsAddUp();
        invariant_I5_NothingWithoutConsent();
        invariant_I6_EverythingHasAnExit();
        invariant_I8_SequenceNumbersHaveNoGaps();
        invariant_I9_EventsTellTheWholeState();
    }

    function _nothingBroken() private view {
        string memory broken = fold.broken();
        vm.assertTrue(bytes(broken).length == 0, broken);
    }

    function _sameJob(bytes32 jobId) private view {
        Fold.JobState memory told = fold.jobOf(jobId);
        _checkJob(
            jobId, told.funded, told.released, told.pending, told.unitsPaid, told.seq, told.status
        );
        (,,,,,, uint40 closeRequestedAt,) = escrow.job(jobId);
        vm.assertEq(closeRequestedAt, told.closeRequestedAt, "I9: closeRequestedAt");
        vm.assertEq(escrow.jobIdOf(told.order), jobId, "I9: the order's preimage");
    }

    /// Settles or lapses as a stranger who knows only the logs, and no key of a sealed lot.
    function _endLot(bytes32 lotHash) private {
        Fold.LotState memory lot = fold.lotOf(lotHash);
        if (lot.status > 2 || lot.lot.mask == lot.rejected) return;
        vm.prank(stranger);
        if (lot.lot.keyCommit != 0) escrow.lapse(fold.jobOf(lot.jobId).order, lot.lot);
        else escrow.settle(fold.jobOf(lot.jobId).order, _one(lot.lot), _keys(0));
    }

    function _everybodyWithdraws() private {
        (uint256 owners,,) = fold.counts();
        for (uint256 i = 0; i < owners; ++i) {
            _withdrawAll(fold.owners(i));
        }
        // Those who had no account before the exits above.
        _withdrawAll(treasury);
        _withdrawAll(node);
        _withdrawAll(fees);
        _withdrawAll(payer);
        if (_free(DEAD) != 0) escrow.burn();
    }

    function _withdrawAll(address owner) private {
        uint96 free = uint96(_free(owner));
        if (free == 0 || owner == DEAD) return;
        vm.prank(owner);
        escrow.withdraw(free, owner);
    }

    function _acts() private pure returns (bytes4[] memory acts) {
        acts = new bytes4[](21);
        acts[0] = Handlers.deposit.selector;
        acts[1] = Handlers.depositFor.selector;
        acts[2] = Handlers.withdraw.selector;
        acts[3] = Handlers.burn.selector;
        acts[4] = Handlers.donate.selector;
        acts[5] = Handlers.open.selector;
        acts[6] = Handlers.topUp.selector;
        acts[7] = Handlers.release.selector;
        acts[8] = Handlers.commit.selector;
        acts[9] = Handlers.approve.selector;
        acts[10] = Handlers.reject.selector;
        acts[11] = Handlers.settle.selector;
        acts[12] = Handlers.lapse.selector;
        acts[13] = Handlers.requestClose.selector;
        acts[14] = Handlers.close.selector;
        acts[15] = Handlers.pass.selector;
        acts[16] = Handlers.passToADate.selector;
        acts[17] = Handlers.intrude.selector;
        acts[18] = Handlers.intrudeOnALot.selector;
        acts[19] = Handlers.commit.selector;
        acts[20] = Handlers.recommit.selector;
    }
}
