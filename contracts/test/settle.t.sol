// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of settle and lapse.
pragma solidity 0.8.37;

import {Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract SettleTest is Fixture {
    Order private order;
    bytes32 private jobId;
    uint256 private windowEnd = START + REVIEW;

    function setUp() public override {
        super.setUp();
        (order, jobId) = _opened();
    }

    // ---- settle ----

    function test_settle_RefusesAnotherNumberOfKeys() public {
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_KeyCountWrong.selector, 2, 1));
        escrow.settle(order, _two(_lot(1), _lot(2)), _keys(0));
    }

    function test_settle_RefusesNoLots() public {
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_CountRefused.selector, 0, 256));
        escrow.settle(order, new Lot[](0), new bytes32[](0));
    }

    function test_settle_RefusesALotThatWasNotCommitted() public {
        bytes32 lotHash = escrow.lotHashOf(jobId, _lot(1));
        _refusesSettle(
            _lot(1),
            0,
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash)
        );
    }

    function test_settle_RefusesOtherTermsOfTheLot() public {
        _commit(order, _lot(1));
        vm.warp(windowEnd);
        Lot memory dearer = _lot(1);
        dearer.unitPrice -= 1;
        bytes32 lotHash = escrow.lotHashOf(jobId, dearer);
        _refusesSettle(
            dearer,
            0,
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash)
        );
    }

    function test_settle_RefusesOtherTermsOfTheOrder() public {
        _commit(order, _lot(1));
        vm.warp(windowEnd);
        order.feeBps = 0;
        bytes32 lotHash = escrow.lotHashOf(escrow.jobIdOf(order), _lot(1));
        _refusesSettle(
            _lot(1),
            0,
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash)
        );
    }

    function test_settle_RefusesBeforeTheWindowsEnd() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd - 1);
        _refusesSettle(_sealed(1), KEY, _tooEarly(lotHash, windowEnd));
        vm.warp(windowEnd);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
    }

    function test_settle_RefusesAWrongKey() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd);
        _refusesSettle(_sealed(1), "wrong", _keyRefused(lotHash, "wrong", _sealed(1).keyCommit));
        _refusesSettle(_sealed(1), 0, _keyRefused(lotHash, 0, _sealed(1).keyCommit));
    }

    function test_settle_RefusesAKeyForAnUnsealedLot() public {
        bytes32 lotHash = _commit(order, _lot(1));
        vm.warp(windowEnd);
        _refusesSettle(_lot(1), KEY, _keyRefused(lotHash, KEY, 0));
    }

    function test_settle_RefusesALotTwice() public {
        bytes32 lotHash = _commit(order, _lot(1));
        vm.warp(windowEnd);
        escrow.settle(order, _one(_lot(1)), _keys(0));
        _refusesSettle(_lot(1), 0, _lotDecided(lotHash, 3));
    }

    function test_settle_RefusesALotTwiceInOneCall() public {
        bytes32 lotHash = _commit(order, _lot(1));
        vm.warp(windowEnd);
        _fails(_lotDecided(lotHash, 3));
        escrow.settle(order, _two(_lot(1), _lot(1)), new bytes32[](2));
    }

    function test_settle_RefusesALotThatLapsed() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd + GRACE);
        escrow.lapse(order, _sealed(1));
        _refusesSettle(_sealed(1), KEY, _lotDecided(lotHash, 4));
    }

    function test_settle_RefusesALotWhoseUnitsWereAllRejected() public {
        bytes32 lotHash = _commit(order, _lot(3));
        vm.prank(payer);
        escrow.reject(order, _lot(3), 3, "", "");
        vm.warp(windowEnd);
        _refusesSettle(_lot(3), 0, _nothingLeft(lotHash));
    }

    function test_settle_PaysAndRevealsTheKey() public {
        Lot memory lot = _sealed(0x3ff);
        bytes32 lotHash = _commit(order, lot);
        vm.warp(windowEnd);
        vm.recordLogs();
        vm.prank(stranger);
        _emitsSettled(node, lotHash, KEY, 0x3ff, 10 ether, 10 ether, 0, 3);
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 0.5 ether, 0.5 ether, 1);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 0.1 ether, 0.1 ether, 1);
        escrow.settle(order, _one(lot), _keys(KEY));
        _checkEventCount(3);
        _checkJob(jobId, CAP, 10 ether, 0, 10, 3, 1);
        _checkLot(lotHash, 3, windowEnd, 0);
        _checkTaken(jobId, 0, 0x3ff);
        _checkAccount(node, 9.4 ether, 1);
    }

    function test_settle_PaysAnApprovedLotBeforeItsWindowEnds() public {
        _commit(order, _sealed(1));
        vm.prank(payer);
        escrow.approve(order, _one(_sealed(1)), "");
        vm.prank(node);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        _checkAccount(node, 0.94 ether, 1);
    }

    function test_settle_PaysWhatWasNotRejected() public {
        Lot memory lot = _sealed(7);
        bytes32 lotHash = _commit(order, lot);
        vm.prank(payer);
        escrow.reject(order, lot, 2, "", "");
        vm.warp(windowEnd);
        _emitsSettled(node, lotHash, KEY, 5, 2 ether, 2 ether, 0, 4);
        escrow.settle(order, _one(lot), _keys(KEY));
        _checkJob(jobId, CAP, 2 ether, 0, 2, 4, 1);
        _checkTaken(jobId, 0, 5);
        _checkLot(lotHash, 3, windowEnd, 2);
    }

    function test_settle_PaysManyLotsAndSumsTheirShares() public {
        bytes32 first = _commit(order, _sealed(1));
        bytes32 second = _commit(order, _lotOf(otherNode, 1, 6, 0));
        vm.warp(windowEnd);
        bytes32[] memory keys = new bytes32[](2);
        keys[0] = KEY;
        vm.recordLogs();
        _emitsSettled(node, first, KEY, 1, 1 ether, 1 ether, 2 ether, 4);
        _emitsSettled(otherNode, second, 0, 6, 2 ether, 3 ether, 0, 5);
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 0.15 ether, 0.15 ether, 1);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 0.03 ether, 0.03 ether, 1);
        escrow.settle(order, _two(_sealed(1), _lotOf(otherNode, 1, 6, 0)), keys);
        _checkEventCount(4);
    }

    function test_settle_PaysALotOfAClosedJob() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        _commit(order, _sealed(3));
        vm.warp(end);
        escrow.close(order, "", "");
        _checkJob(jobId, 2 ether, 0, 2 ether, 0, 4, 2);
        vm.warp(end - 1 + REVIEW);
        escrow.settle(order, _one(_sealed(3)), _keys(KEY));
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 5, 2);
        _checkAccount(node, 1.88 ether, 1);
    }

    function test_settle_PaysAnUnsealedLotAtAnyLaterTime() public {
        _commit(order, _lot(1));
        vm.warp(windowEnd + 1000 days);
        escrow.settle(order, _one(_lot(1)), _keys(0));
        _checkAccount(node, 0.94 ether, 1);
    }

    function test_settle_PaysASealedLotAfterItsGraceWhileItHasNotLapsed() public {
        _commit(order, _sealed(1));
        vm.warp(windowEnd + GRACE);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        _checkAccount(node, 0.94 ether, 1);
    }

    function testFuzz_settle_PaysTheRestOfAnyRejection(uint256 mask, uint256 rejected) public {
        order.units = 256;
        jobId = _open(order);
        mask = mask == 0 ? 1 : mask;
        rejected &= mask;
        Lot memory lot = _sealed(mask);
        lot.unitPrice = 1e15;
        _commit(order, lot);
        if (rejected != 0) {
            vm.prank(payer);
            escrow.reject(order, lot, rejected, "", "");
        }
        _checkTaken(jobId, 0, mask & ~rejected);
        vm.warp(windowEnd);
        if (rejected == mask) {
            _refusesSettle(lot, KEY, _nothingLeft(escrow.lotHashOf(jobId, lot)));
            return;
        }
        escrow.settle(order, _one(lot), _keys(KEY));
        uint256 paid = _bits(mask & ~rejected);
        (uint96 funded, uint96 released, uint96 pending, uint32 unitsPaid,,,,) = escrow.job(jobId);
        vm.assertEq(funded, CAP, "funded");
        vm.assertEq(released, paid * 1e15, "released");
        vm.assertEq(pending, 0, "pending");
        vm.assertEq(unitsPaid, paid, "unitsPaid");
    }

    // ---- lapse ----

    function test_lapse_RefusesALotThatWasNotCommitted() public {
        bytes32 lotHash = escrow.lotHashOf(jobId, _sealed(1));
        _refusesLapse(
            _sealed(1),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash)
        );
    }

    function test_lapse_RefusesAnUnsealedLot() public {
        bytes32 lotHash = _commit(order, _lot(1));
        vm.warp(windowEnd + GRACE);
        _refusesLapse(
            _lot(1),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotNotSealed.selector, lotHash)
        );
    }

    function test_lapse_RefusesBeforeTheGraceIsOver() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd + GRACE - 1);
        _refusesLapse(_sealed(1), _tooEarly(lotHash, windowEnd + GRACE));
        vm.warp(windowEnd + GRACE);
        escrow.lapse(order, _sealed(1));
    }

    function test_lapse_RefusesEarlyWhenTheLotWasApprovedEarly() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.prank(payer);
        escrow.approve(order, _one(_sealed(1)), "");
        vm.warp(windowEnd + GRACE - 1);
        _refusesLapse(_sealed(1), _tooEarly(lotHash, windowEnd + GRACE));
        vm.warp(windowEnd + GRACE);
        escrow.lapse(order, _sealed(1));
        _checkLot(lotHash, 4, windowEnd, 0);
    }

    function test_lapse_RefusesALotThatWasSettled() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd + GRACE);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        _refusesLapse(_sealed(1), _lotDecided(lotHash, 3));
    }

    function test_lapse_RefusesALotTwice() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd + GRACE);
        escrow.lapse(order, _sealed(1));
        _refusesLapse(_sealed(1), _lotDecided(lotHash, 4));
    }

    function test_lapse_RefusesALotWhoseUnitsWereAllRejected() public {
        bytes32 lotHash = _commit(order, _sealed(3));
        vm.prank(payer);
        escrow.reject(order, _sealed(3), 3, "", "");
        vm.warp(windowEnd + GRACE);
        _refusesLapse(_sealed(3), _nothingLeft(lotHash));
    }

    function test_lapse_FreesUnitsAndMoney() public {
        bytes32 lotHash = _commit(order, _sealed(7));
        vm.prank(payer);
        escrow.reject(order, _sealed(7), 1, "", "");
        vm.warp(windowEnd + GRACE);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Lapsed(jobId, lotHash, 6, 2 ether, 0, 4);
        escrow.lapse(order, _sealed(7));
        _checkEventCount(1);
        _checkJob(jobId, CAP, 0, 0, 0, 4, 1);
        _checkTaken(jobId, 0, 0);
        _checkLot(lotHash, 4, windowEnd, 1);
    }

    function test_lapse_ReturnsTheMoneyOfAClosedJobAtOnce() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        bytes32 lotHash = _commit(order, _sealed(7));
        vm.warp(end);
        escrow.close(order, "", "");
        vm.warp(end - 1 + REVIEW + GRACE);
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Lapsed(jobId, lotHash, 7, 3 ether, 0, 5);
        _emits();
        emit IRenderEscrow.Returned(jobId, treasury, 3 ether, 0, 6, CAP, 2);
        escrow.lapse(order, _sealed(7));
        _checkEventCount(2);
        _checkJob(jobId, 0, 0, 0, 0, 6, 2);
        _checkAccount(treasury, CAP, 2);
    }

    // ---- what the tests have in common ----

    /// A first payment to `to`: 5 % fee, 1 % burnt, the rest is all that `to` has.
    function _emitsSettled(
        address to,
        bytes32 lotHash,
        bytes32 key,
        uint256 mask,
        uint96 amount,
        uint96 released,
        uint96 pending,
        uint32 seq
    ) private {
        uint96 fee = amount / 20;
        uint96 burnt = amount / 100;
        uint96 rest = amount - fee - burnt;
        _emits();
        emit IRenderEscrow.Settled(
            jobId, to, lotHash, key, mask, amount, fee, burnt, released, pending, seq, rest, 1
        );
    }

    function _refusesSettle(Lot memory lot, bytes32 key, bytes memory error_) private {
        _fails(error_);
        escrow.settle(order, _one(lot), _keys(key));
    }

    function _refusesLapse(Lot memory lot, bytes memory error_) private {
        _fails(error_);
        escrow.lapse(order, lot);
    }

    function _tooEarly(bytes32 id, uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_TooEarly.selector, id, from, block.timestamp
        );
    }

    function _keyRefused(bytes32 lotHash, bytes32 key, bytes32 keyCommit)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_KeyRefused.selector, lotHash, key, keyCommit
        );
    }

    function _lotDecided(bytes32 lotHash, uint8 status) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotDecided.selector, lotHash, status);
    }

    function _nothingLeft(bytes32 lotHash) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_NothingLeft.selector, lotHash);
    }

    /// Bits counted one by one, beside the contract's way.
    function _bits(uint256 mask) private pure returns (uint256 count) {
        for (; mask != 0; mask >>= 1) {
            count += mask & 1;
        }
    }
}
