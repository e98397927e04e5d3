// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of pause and unpause, and every operation while they last.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract PauseTest is Fixture {
    uint256 private constant UNTIL = START + 20 minutes;
    string private constant NODE_TEXT = "0x00000000000000000000000000000000000040dE";

    // ---- pause ----

    function test_pause_RefusesAnybodyButTheGuardian() public {
        address[4] memory others = [payer, settler, issuer, stranger];
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(others[i]);
            _callerRefused(others[i], guardian, address(0));
            escrow.pause(uint40(UNTIL));
        }
    }

    function test_pause_RefusesEverybodyWhenThereIsNoGuardian() public {
        escrow = new RenderEscrow(address(rndr), issuer, address(0));
        vm.prank(guardian);
        _callerRefused(guardian, address(0), address(0));
        escrow.pause(uint40(UNTIL));
    }

    function test_pause_RefusesAnEndThatIsNotAhead() public {
        for (uint256 back = 0; back < 2; ++back) {
            vm.prank(guardian);
            _fails(_notPaused(START - back));
            escrow.pause(uint40(START - back));
        }
        _pause(START + 1);
        _checkOffices(address(0), START + 1, 1);
    }

    function test_pause_RefusesMoreThan7Days() public {
        vm.prank(guardian);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PauseTooLong.selector,
                START + 7 days + 1,
                START + 7 days
            )
        );
        escrow.pause(uint40(START + 7 days + 1));
        _pause(START + 7 days);
        _checkOffices(address(0), START + 7 days, 1);
    }

    function test_pause_RefusesToExtendAPause() public {
        _pause(UNTIL);
        vm.prank(guardian);
        _fails(_tooSoon(UNTIL + 30 days));
        escrow.pause(uint40(UNTIL + 1));
        vm.warp(UNTIL);
        vm.prank(guardian);
        _fails(_tooSoon(UNTIL + 30 days));
        escrow.pause(uint40(UNTIL + 1));
        _checkOffices(address(0), UNTIL, 1);
    }

    function test_pause_RefusesAPauseWithin30DaysOfTheLastOnesEnd() public {
        _pause(UNTIL);
        vm.warp(UNTIL + 30 days - 1);
        vm.prank(guardian);
        _fails(_tooSoon(UNTIL + 30 days));
        escrow.pause(uint40(UNTIL + 31 days));
        vm.warp(UNTIL + 30 days);
        _pause(UNTIL + 37 days);
        _checkOffices(address(0), UNTIL + 37 days, 2);
    }

    function test_pause_KeepsItsEndAndCounts() public {
        vm.recordLogs();
        vm.prank(guardian);
        _emits();
        emit IRenderEscrow.Paused(uint40(UNTIL), 1);
        escrow.pause(uint40(UNTIL));
        _checkEventCount(1);
        _checkOffices(address(0), UNTIL, 1);
        _checkAccount(guardian, 0, 0);
    }

    function test_pause_SharesItsSlotWithTheNamedSettler() public {
        address widest = address(type(uint160).max);
        _nameSettler(widest);
        _pause(UNTIL);
        _checkOffices(widest, UNTIL, 2);
        _nameSettler(address(0));
        _checkOffices(address(0), UNTIL, 3);
    }

    // ---- unpause ----

    function test_unpause_RefusesAnybodyButTheGuardian() public {
        _pause(UNTIL);
        vm.prank(issuer);
        _callerRefused(issuer, guardian, address(0));
        escrow.unpause();
    }

    function test_unpause_RefusesWhenNothingWasEverPaused() public {
        vm.prank(guardian);
        _fails(_notPaused(0));
        escrow.unpause();
    }

    function test_unpause_RefusesFromThePausesEndOn() public {
        _pause(UNTIL);
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(UNTIL + late);
            vm.prank(guardian);
            _fails(_notPaused(UNTIL));
            escrow.unpause();
        }
        vm.warp(UNTIL - 1);
        vm.prank(guardian);
        escrow.unpause();
    }

    function test_unpause_EndsThePauseNow() public {
        _pause(UNTIL);
        vm.warp(START + 5);
        vm.recordLogs();
        vm.prank(guardian);
        _emits();
        emit IRenderEscrow.Paused(uint40(START + 5), 2);
        escrow.unpause();
        _checkEventCount(1);
        _checkOffices(address(0), START + 5, 2);
        _deposit(payer, 1);
        _checkAccount(payer, 1, 1);
    }

    function test_unpause_StartsTheRestOf30Days() public {
        _pause(UNTIL);
        vm.warp(START + 5);
        vm.startPrank(guardian);
        escrow.unpause();
        _fails(_notPaused(START + 5));
        escrow.unpause();
        vm.warp(START + 5 + 30 days - 1);
        _fails(_tooSoon(START + 5 + 30 days));
        escrow.pause(uint40(START + 31 days));
        vm.warp(START + 5 + 30 days);
        escrow.pause(uint40(START + 31 days));
        vm.stopPrank();
        _checkOffices(address(0), START + 31 days, 3);
    }

    // ---- stop ----

    function test_stop_RefusesDeposit() public {
        _stops(payer, abi.encodeCall(escrow.deposit, (1)));
    }

    function test_stop_RefusesDepositFor() public {
        _stops(payer, abi.encodeCall(escrow.depositFor, (node, 1)));
    }

    function test_stop_RefusesFundJob() public {
        rndr.setEscrowContractAddress(address(escrow));
        _pause(UNTIL);
        vm.prank(payer);
        _isPaused(UNTIL);
        rndr.holdInEscrow(NODE_TEXT, 1);
        vm.assertEq(rndr.balanceOf(payer), WEALTH, "nothing moved");
        vm.warp(UNTIL);
        vm.prank(payer);
        rndr.holdInEscrow(NODE_TEXT, 1);
        _checkAccount(node, 1, 1);
    }

    function test_stop_RefusesIssueCredit() public {
        _fund(issuer);
        _stops(issuer, abi.encodeCall(escrow.issueCredit, (payer, 1)));
    }

    function test_stop_RefusesOpen() public {
        _stops(payer, abi.encodeCall(escrow.open, (_order())));
    }

    function test_stop_RefusesOpenFor() public {
        _deposit(payer, CAP);
        bytes memory word = _sign(PAYER_KEY, escrow.jobIdOf(_order()));
        _stops(stranger, abi.encodeCall(escrow.openFor, (_order(), payer, word)));
    }

    function test_stop_RefusesOpenForByADelegate() public {
        _deposit(payer, CAP);
        Order memory order = _order();
        order.refundTo = payer;
        _setDelegate(stranger, CAP, CAP, START + 1 days);
        _stops(stranger, abi.encodeCall(escrow.openFor, (order, stranger, "")));
    }

    function test_stop_RefusesTopUp() public {
        (, bytes32 jobId) = _opened();
        _deposit(payer, 1);
        _stops(payer, abi.encodeCall(escrow.topUp, (jobId, 1)));
    }

    function test_stop_LapsesByItself() public {
        _pause(UNTIL);
        vm.warp(UNTIL - 1);
        vm.prank(payer);
        _isPaused(UNTIL);
        escrow.deposit(1);
        vm.warp(UNTIL);
        _deposit(payer, 1);
        _checkAccount(payer, 1, 1);
        _checkOffices(address(0), UNTIL, 1);
    }

    /// One job through all of them; `attacks` compares each result with that of a running escrow.
    function test_stop_LeavesEveryOtherOperationAsItIs() public {
        Order memory order = _order();
        Order memory calls = _voucherOrder();
        bytes32 callsId = _open(calls);
        Lot memory late = _sealed(8);
        order.reviewSeconds = 10 minutes;
        order.claimGrace = 1 hours;
        bytes32 jobId = _open(order);
        _commit(order, late);
        vm.warp(START + 2 hours);
        _pause(START + 2 hours + 7 days);
        escrow.lapse(order, late);
        _actsOnLots(order);
        _redeem(calls, 100, _payout(node, 100));
        escrow.close(calls, _closeWord(PAYER_KEY, callsId), _closeWord(SETTLER_KEY, callsId));
        vm.warp(START + 3 hours);
        escrow.close(order, "", "");
        escrow.burn();
        _nameSettler(settler);
        vm.prank(node);
        escrow.withdraw(1, node);
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 12, 2);
        _checkJob(callsId, 100, 100, 0, 0, 4, 2);
        _checkAccount(node, 2 * 0.94 ether + 93, 4);
    }

    // ---- what these have in common ----

    function _actsOnLots(Order memory order) private {
        _release(order, _lot(1));
        _commit(order, _sealed(2));
        _commit(order, _sealed(4));
        vm.startPrank(payer);
        escrow.approve(order, _one(_sealed(2)), "");
        escrow.reject(order, _sealed(4), 4, "", "");
        escrow.settle(order, _one(_sealed(2)), _keys(KEY));
        escrow.setDelegate(stranger, settler, 1, 1, type(uint40).max);
        escrow.revokeDelegate(stranger);
        escrow.requestClose(order, "");
        vm.stopPrank();
    }

    function _stops(address caller, bytes memory data) private {
        _pause(UNTIL);
        vm.warp(UNTIL - 1);
        vm.prank(caller);
        (bool done, bytes memory answer) = address(escrow).call(data);
        vm.assertTrue(!done, "a way in that is open in a pause");
        bytes memory error_ =
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_IsPaused.selector, UNTIL, UNTIL - 1);
        vm.assertEq(keccak256(answer), keccak256(error_), "another error");
        vm.warp(UNTIL);
        vm.prank(caller);
        (done,) = address(escrow).call(data);
        vm.assertTrue(done, "the same call, once the pause is over");
    }

    function _notPaused(uint256 until) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_NotPaused.selector, until, block.timestamp
        );
    }

    function _tooSoon(uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_PauseTooSoon.selector, from, block.timestamp
        );
    }
}
