// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of commit, approve and reject.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract CommitTest is Fixture {
    bytes32 private constant REASON = keccak256("black frame");

    Order private order;
    bytes32 private jobId;
    uint256 private windowEnd = START + REVIEW;

    function setUp() public override {
        super.setUp();
        (order, jobId) = _opened();
    }

    // ---- commit ----

    function test_commit_RefusesAnUnknownJob() public {
        order.salt = "other";
        bytes32 other = escrow.jobIdOf(order);
        _refusesCommit(
            _lot(1),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, other, uint8(0))
        );
    }

    function test_commit_RefusesFromTheJobsEndOn() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        _commit(order, _lot(1));
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(end + late);
            _refusesCommit(
                _lot(2),
                abi.encodeWithSelector(
                    IRenderEscrow.RenderEscrow_DeadlinePassed.selector, jobId, end, end + late
                )
            );
        }
    }

    function test_commit_RefusesNoLots() public {
        vm.prank(settler);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_CountRefused.selector, 0, 256));
        escrow.commit(order, new Lot[](0), "", "");
    }

    function test_commit_RefusesAnybodyWithoutTheSettlersConsent() public {
        vm.prank(payer);
        _callerRefused(payer, settler, address(0));
        escrow.commit(order, _one(_lot(1)), "", "");
    }

    function test_commit_RefusesAnAcceptanceByTheNode() public {
        bytes32 act = Hashes.acceptance(jobId, _lotsHash(jobId, _one(_lot(1))));
        bytes memory word = _sign(STRANGER_KEY, _digest(act));
        _signatureRefused(act, settler, address(0));
        vm.prank(node);
        escrow.commit(order, _one(_lot(1)), word, "");
    }

    function test_commit_RefusesAStrangersApproval() public {
        bytes32 act = Hashes.approval(jobId, _lotsHash(jobId, _one(_lot(1))));
        bytes memory word = _sign(STRANGER_KEY, _digest(act));
        _signatureRefused(act, payer, approver);
        vm.prank(settler);
        escrow.commit(order, _one(_lot(1)), "", word);
    }

    function test_commit_RefusesALotTwice() public {
        bytes32 lotHash = _commit(order, _lot(1));
        _refusesCommit(_lot(1), _lotKnown(lotHash, 1));
    }

    function test_commit_RefusesALotThatWasRejected() public {
        bytes32 lotHash = _commit(order, _lot(1));
        _reject(_lot(1), 1);
        _refusesCommit(_lot(1), _lotKnown(lotHash, 1));
    }

    function test_commit_RefusesALotThatLapsed() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.warp(windowEnd + GRACE);
        escrow.lapse(order, _sealed(1));
        _refusesCommit(_sealed(1), _lotKnown(lotHash, 4));
    }

    function test_commit_RefusesUnitsThatAreReservedOrPaid() public {
        _commit(order, _lot(1));
        _release(order, _lot(2));
        _refusesCommit(
            _sealed(7),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_UnitsTaken.selector, jobId, uint32(0), 3
            )
        );
    }

    function test_commit_RefusesMoreThanTheJobHolds() public {
        order.cap = 5 ether;
        jobId = _open(order);
        _commit(order, _lot(7));
        _refusesCommit(
            _lot(0x38),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_FundsTooLow.selector, jobId, 3 ether, 2 ether
            )
        );
    }

    function test_commit_ReservesUnitsAndMoneyForTheWindow() public {
        Lot memory lot = _sealed(0xff);
        bytes32 lotHash = escrow.lotHashOf(jobId, lot);
        vm.recordLogs();
        vm.prank(settler);
        _emits();
        emit IRenderEscrow.Committed(
            jobId, node, lotHash, lot, 8 ether, uint40(windowEnd), false, 8 ether, 2
        );
        escrow.commit(order, _one(lot), "", "");
        _checkEventCount(1);
        _checkJob(jobId, CAP, 0, 8 ether, 0, 2, 1);
        _checkLot(lotHash, 1, windowEnd, 0);
        _checkTaken(jobId, 0, 0xff);
        _checkAccount(node, 0, 0);
    }

    function test_commit_EndsTheWindowAtOnceWithAnApproval() public {
        Lot[] memory lots = _two(_sealed(1), _lotOf(otherNode, 1, 3, 0));
        bytes memory acceptance = _acceptance(jobId, lots);
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        bytes32 first = escrow.lotHashOf(jobId, lots[0]);
        bytes32 second = escrow.lotHashOf(jobId, lots[1]);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Committed(
            jobId, node, first, lots[0], 1 ether, uint40(windowEnd), true, 1 ether, 2
        );
        _emits();
        emit IRenderEscrow.Committed(
            jobId, otherNode, second, lots[1], 2 ether, uint40(windowEnd), true, 3 ether, 3
        );
        escrow.commit(order, lots, acceptance, approval);
        _checkEventCount(2);
        _checkLot(first, 2, windowEnd, 0);
        _checkLot(second, 2, windowEnd, 0);
        _checkJob(jobId, CAP, 0, 3 ether, 0, 3, 1);
    }

    function test_commit_TakesAnEmptyApprovalOfThePayersCallAsNone() public {
        bytes memory acceptance = _acceptance(jobId, _one(_lot(1)));
        vm.prank(payer);
        escrow.commit(order, _one(_lot(1)), acceptance, "");
        _checkLot(escrow.lotHashOf(jobId, _lot(1)), 1, windowEnd, 0);
    }

    function test_commit_GivesAFullWindowInTheJobsLastSecond() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        bytes32 lotHash = _commit(order, _lot(1));
        _checkLot(lotHash, 1, end - 1 + REVIEW, 0);
    }

    // ---- approve ----

    function test_approve_RefusesNoLots() public {
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_CountRefused.selector, 0, 256));
        escrow.approve(order, new Lot[](0), "");
    }

    function test_approve_RefusesACallerWhoIsNotOfThePayersSide() public {
        _commit(order, _lot(1));
        vm.prank(settler);
        _callerRefused(settler, payer, approver);
        escrow.approve(order, _one(_lot(1)), "");
    }

    function test_approve_RefusesAStrangersSignature() public {
        _commit(order, _lot(1));
        bytes32 act = Hashes.approval(jobId, _lotsHash(jobId, _one(_lot(1))));
        bytes memory word = _sign(STRANGER_KEY, _digest(act));
        _signatureRefused(act, payer, approver);
        vm.prank(payer);
        escrow.approve(order, _one(_lot(1)), word);
    }

    function test_approve_RefusesALotThatWasNotCommitted() public {
        bytes32 lotHash = escrow.lotHashOf(jobId, _lot(1));
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash));
        escrow.approve(order, _one(_lot(1)), "");
    }

    function test_approve_RefusesWhenNothingIsLeftToApprove() public {
        _commit(order, _lot(1));
        _commit(order, _lot(2));
        _reject(_lot(1), 1);
        bytes32 lotsHash = _lotsHash(jobId, _two(_lot(1), _lot(2)));
        vm.startPrank(payer);
        escrow.approve(order, _one(_lot(2)), "");
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_NothingToApprove.selector, jobId, lotsHash
            )
        );
        escrow.approve(order, _two(_lot(1), _lot(2)), "");
    }

    function test_approve_EndsTheWindow() public {
        bytes32 lotHash = _commit(order, _sealed(3));
        vm.recordLogs();
        vm.prank(approver);
        _emits();
        emit IRenderEscrow.Approved(jobId, approver, lotHash, 3);
        escrow.approve(order, _one(_sealed(3)), "");
        _checkEventCount(1);
        _checkLot(lotHash, 2, windowEnd, 0);
        _checkJob(jobId, CAP, 0, 2 ether, 0, 3, 1);
    }

    function test_approve_TakesASignatureAndSkipsLotsThatEndedMeanwhile() public {
        bytes32 first = _commit(order, _lot(1));
        bytes32 second = _commit(order, _lot(6));
        Lot[] memory lots = _two(_lot(1), _lot(6));
        bytes memory approval = _approval(APPROVER_KEY, jobId, lots);
        _reject(_lot(1), 1);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Approved(jobId, approver, second, 5);
        escrow.approve(order, lots, approval);
        _checkEventCount(1);
        _checkLot(first, 1, windowEnd, 1);
        _checkLot(second, 2, windowEnd, 0);
    }

    function test_approve_CoversWhatWasNotRejected() public {
        _commit(order, _lot(6));
        _reject(_lot(6), 2);
        vm.prank(payer);
        escrow.approve(order, _one(_lot(6)), "");
        escrow.settle(order, _one(_lot(6)), _keys(0));
        _checkJob(jobId, CAP, 1 ether, 0, 1, 5, 1);
        _checkTaken(jobId, 0, 4);
    }

    // ---- reject ----

    function test_reject_RefusesALotThatWasNotCommitted() public {
        bytes32 lotHash = escrow.lotHashOf(jobId, _lot(1));
        _refusesReject(
            _lot(1),
            1,
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash)
        );
    }

    function test_reject_RefusesALotThatWasApproved() public {
        bytes32 lotHash = _commit(order, _lot(1));
        vm.prank(payer);
        escrow.approve(order, _one(_lot(1)), "");
        _refusesReject(_lot(1), 1, _lotDecided(lotHash, 2));
    }

    function test_reject_RefusesALotThatWasSettled() public {
        bytes32 lotHash = _commit(order, _lot(1));
        vm.warp(windowEnd);
        escrow.settle(order, _one(_lot(1)), _keys(0));
        _refusesReject(_lot(1), 1, _lotDecided(lotHash, 3));
    }

    function test_reject_RefusesFromTheWindowsEndOn() public {
        bytes32 lotHash = _commit(order, _lot(7));
        vm.warp(windowEnd - 1);
        _reject(_lot(7), 1);
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(windowEnd + late);
            _refusesReject(
                _lot(7),
                2,
                abi.encodeWithSelector(
                    IRenderEscrow.RenderEscrow_WindowPassed.selector,
                    lotHash,
                    windowEnd,
                    windowEnd + late
                )
            );
        }
    }

    function test_reject_RefusesACallerWhoIsNotOfThePayersSide() public {
        _commit(order, _lot(1));
        vm.prank(settler);
        _callerRefused(settler, payer, approver);
        escrow.reject(order, _lot(1), 1, REASON, "");
    }

    function test_reject_RefusesASignatureOfAnotherMask() public {
        bytes32 lotHash = _commit(order, _lot(3));
        bytes memory word = _rejection(PAYER_KEY, jobId, _lot(3), 1, REASON);
        _signatureRefused(Hashes.rejection(jobId, lotHash, 3, REASON), payer, approver);
        vm.prank(settler);
        escrow.reject(order, _lot(3), 3, REASON, word);
    }

    function test_reject_RefusesAnEmptyMask() public {
        bytes32 lotHash = _commit(order, _lot(6));
        _refusesReject(_lot(6), 0, _maskRefused(lotHash, 0, 6));
    }

    function test_reject_RefusesUnitsThatAreNotTheLots() public {
        bytes32 lotHash = _commit(order, _lot(6));
        _refusesReject(_lot(6), 7, _maskRefused(lotHash, 7, 6));
    }

    function test_reject_RefusesUnitsThatWereAllRejected() public {
        bytes32 lotHash = _commit(order, _lot(6));
        _reject(_lot(6), 2);
        _refusesReject(_lot(6), 2, _maskRefused(lotHash, 2, 4));
    }

    function test_reject_FreesUnitsAndMoney() public {
        bytes32 lotHash = _commit(order, _sealed(7));
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Rejected(jobId, payer, lotHash, 5, REASON, 2 ether, 1 ether, 3);
        escrow.reject(order, _sealed(7), 5, REASON, "");
        _checkEventCount(1);
        _checkJob(jobId, CAP, 0, 1 ether, 0, 3, 1);
        _checkTaken(jobId, 0, 2);
        _checkLot(lotHash, 1, windowEnd, 5);
    }

    function test_reject_CountsOnlyUnitsNotYetRejected() public {
        bytes32 lotHash = _commit(order, _sealed(7));
        _reject(_sealed(7), 1);
        vm.prank(approver);
        _emits();
        emit IRenderEscrow.Rejected(jobId, approver, lotHash, 6, REASON, 2 ether, 0, 4);
        escrow.reject(order, _sealed(7), 7, REASON, "");
        _checkJob(jobId, CAP, 0, 0, 0, 4, 1);
        _checkTaken(jobId, 0, 0);
        _checkLot(lotHash, 1, windowEnd, 7);
    }

    function test_reject_TakesARejectionSignedBeforeTheCommit() public {
        Lot memory lot = _sealed(7);
        bytes memory word = _rejection(APPROVER_KEY, jobId, lot, 4, REASON);
        _commit(order, lot);
        vm.prank(stranger);
        escrow.reject(order, lot, 4, REASON, word);
        _checkTaken(jobId, 0, 3);
    }

    function test_reject_LetsTheUnitBeDoneAnew() public {
        _commit(order, _sealed(1));
        _reject(_sealed(1), 1);
        Lot memory again = _sealed(1);
        again.receiptsRoot = keccak256("second attempt");
        _commit(order, again);
        _checkTaken(jobId, 0, 1);
        _checkJob(jobId, CAP, 0, 1 ether, 0, 4, 1);
    }

    function test_reject_ReturnsTheMoneyOfAClosedJobAtOnce() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        bytes32 lotHash = _commit(order, _sealed(7));
        vm.warp(end);
        escrow.close(order, "", "");
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Rejected(jobId, payer, lotHash, 3, REASON, 2 ether, 1 ether, 5);
        _emits();
        emit IRenderEscrow.Returned(jobId, treasury, 2 ether, 1 ether, 6, CAP - 1 ether, 2);
        escrow.reject(order, _sealed(7), 3, REASON, "");
        _checkEventCount(2);
        _checkJob(jobId, 1 ether, 0, 1 ether, 0, 6, 2);
        _checkAccount(treasury, CAP - 1 ether, 2);
    }

    // ---- what the refusals have in common ----

    function _reject(Lot memory lot, uint256 mask) private {
        vm.prank(payer);
        escrow.reject(order, lot, mask, REASON, "");
    }

    function _refusesCommit(Lot memory lot, bytes memory error_) private {
        vm.prank(settler);
        _fails(error_);
        escrow.commit(order, _one(lot), "", "");
    }

    function _refusesReject(Lot memory lot, uint256 mask, bytes memory error_) private {
        vm.prank(payer);
        _fails(error_);
        escrow.reject(order, lot, mask, REASON, "");
    }

    function _lotKnown(bytes32 lotHash, uint8 status) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotKnown.selector, lotHash, status);
    }

    function _lotDecided(bytes32 lotHash, uint8 status) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotDecided.selector, lotHash, status);
    }

    function _maskRefused(bytes32 lotHash, uint256 mask, uint256 left)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_MaskRefused.selector, lotHash, mask, left
        );
    }
}
