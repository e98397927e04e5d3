// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of requestClose and close.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {OwnedWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";

contract CloseTest is Fixture {
    Order private order;
    bytes32 private jobId;
    uint256 private end;

    function setUp() public override {
        super.setUp();
        (order, jobId) = _opened();
        end = uint256(order.workDeadline) + order.claimGrace;
    }

    // ---- requestClose ----

    function test_requestClose_RefusesAnUnknownJob() public {
        order.salt = "other";
        bytes memory error_ = _jobNotOpen(escrow.jobIdOf(order), 0);
        vm.prank(payer);
        _fails(error_);
        escrow.requestClose(order, "");
    }

    function test_requestClose_RefusesAClosedJob() public {
        vm.warp(end);
        escrow.close(order, "", "");
        vm.prank(payer);
        _fails(_jobNotOpen(jobId, 2));
        escrow.requestClose(order, "");
    }

    function test_requestClose_RefusesACallerWhoIsNotOfThePayersSide() public {
        vm.prank(settler);
        _callerRefused(settler, payer, approver);
        escrow.requestClose(order, "");
    }

    function test_requestClose_RefusesAStrangersSignature() public {
        bytes32 act = Hashes.closeRequest(jobId);
        bytes memory word = _sign(STRANGER_KEY, _digest(act));
        _signatureRefused(act, payer, approver);
        vm.prank(payer);
        escrow.requestClose(order, word);
    }

    function test_requestClose_RefusesASecondRequest() public {
        vm.startPrank(payer);
        escrow.requestClose(order, "");
        vm.warp(START + 5);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_CloseAlreadyRequested.selector, jobId, START
            )
        );
        escrow.requestClose(order, "");
    }

    function test_requestClose_RefusesFromWorkDeadlineOn() public {
        for (uint256 late = 0; late < 2; ++late) {
            uint256 time = order.workDeadline + late;
            vm.warp(time);
            vm.prank(payer);
            _fails(
                abi.encodeWithSelector(
                    IRenderEscrow.RenderEscrow_DeadlinePassed.selector,
                    jobId,
                    order.workDeadline,
                    time
                )
            );
            escrow.requestClose(order, "");
        }
        vm.warp(order.workDeadline - 1);
        vm.prank(payer);
        escrow.requestClose(order, "");
    }

    function test_requestClose_PutsItsTimeInPlaceOfWorkDeadline() public {
        vm.warp(START + 100);
        vm.recordLogs();
        vm.prank(approver);
        _emits();
        emit IRenderEscrow.CloseRequested(jobId, approver, uint40(START + 100), 2);
        escrow.requestClose(order, "");
        _checkEventCount(1);
        (,,,, uint32 seq,, uint40 requestedAt,) = escrow.job(jobId);
        vm.assertEq(seq, 2, "job seq");
        vm.assertEq(requestedAt, START + 100, "closeRequestedAt");
    }

    function test_requestClose_TakesASignatureFromAnyone() public {
        bytes memory word = _sign(PAYER_KEY, _digest(Hashes.closeRequest(jobId)));
        vm.prank(stranger);
        escrow.requestClose(order, word);
        (,,,,,, uint40 requestedAt,) = escrow.job(jobId);
        vm.assertEq(requestedAt, START, "closeRequestedAt");
    }

    function test_requestClose_SaysWhoOfThePayersSideAsked() public {
        bytes32 act = _digest(Hashes.closeRequest(jobId));
        uint256[2] memory keys = [PAYER_KEY, APPROVER_KEY];
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = vm.snapshotState();
            vm.prank(settler);
            _emits();
            emit IRenderEscrow.CloseRequested(jobId, vm.addr(keys[i]), uint40(START), 2);
            escrow.requestClose(order, _sign(keys[i], act));
            vm.revertToState(before);
        }
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.CloseRequested(jobId, payer, uint40(START), 2);
        escrow.requestClose(order, "");
        _checkJob(jobId, CAP, 0, 0, 0, 2, 1);
    }

    // ---- close ----

    function test_close_RefusesAnUnknownJob() public {
        order.salt = "other";
        bytes memory error_ = _jobNotOpen(escrow.jobIdOf(order), 0);
        _fails(error_);
        escrow.close(order, "", "");
    }

    function test_close_RefusesAClosedJob() public {
        vm.warp(end);
        escrow.close(order, "", "");
        _fails(_jobNotOpen(jobId, 2));
        escrow.close(order, "", "");
    }

    function test_close_RefusesBeforeTheEnd() public {
        vm.warp(end - 1);
        vm.prank(payer);
        _fails(_tooEarly(end));
        escrow.close(order, "", "");
        vm.warp(end);
        escrow.close(order, "", "");
    }

    function test_close_RefusesBeforeTheEndThatARequestSet() public {
        vm.prank(payer);
        escrow.requestClose(order, "");
        vm.warp(START + GRACE - 1);
        _fails(_tooEarly(START + GRACE));
        escrow.close(order, "", "");
        vm.warp(START + GRACE);
        escrow.close(order, "", "");
        _checkAccount(treasury, CAP, 1);
    }

    function test_close_RefusesWhileUnitsAreReserved() public {
        order.units = 2;
        jobId = _open(order);
        _release(order, _lot(1));
        _commit(order, _lot(2));
        _fails(_tooEarly(end));
        escrow.close(order, "", "");
    }

    function test_close_TakesAnyoneOnceAllUnitsArePaid() public {
        order.units = 2;
        jobId = _open(order);
        _release(order, _lot(1));
        _commit(order, _lot(2));
        vm.warp(START + REVIEW);
        escrow.settle(order, _one(_lot(2)), _keys(0));
        vm.prank(stranger);
        escrow.close(order, "", "");
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 6, 2);
        _checkAccount(treasury, CAP - 2 ether, 1);
    }

    function test_close_ReturnsWhatIsNeitherPaidNorPending() public {
        vm.warp(end - 1);
        _release(order, _lot(0xf));
        _commit(order, _sealed(0x30));
        vm.warp(end);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Closed(jobId, 4);
        _emits();
        emit IRenderEscrow.Returned(jobId, treasury, CAP - 6 ether, 6 ether, 5, CAP - 6 ether, 1);
        escrow.close(order, "", "");
        _checkEventCount(2);
        _checkJob(jobId, 6 ether, 4 ether, 2 ether, 4, 5, 2);
        _checkAccount(treasury, CAP - 6 ether, 1);
        _checkAccount(payer, 0, 1);
    }

    function test_close_ReturnsNothingWhenNothingIsLeft() public {
        order.cap = 2 ether;
        order.units = 2;
        jobId = _open(order);
        _release(order, _lot(3));
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Closed(jobId, 3);
        escrow.close(order, "", "");
        _checkEventCount(1);
        _checkAccount(treasury, 0, 0);
    }

    function test_close_ReturnsTopUpsToo() public {
        _fund(stranger);
        _deposit(stranger, 5 ether);
        vm.prank(stranger);
        escrow.topUp(jobId, 5 ether);
        vm.warp(end);
        escrow.close(order, "", "");
        _checkAccount(treasury, CAP + 5 ether, 1);
        _checkAccount(stranger, 0, 2);
    }

    // ---- close by both ----

    function test_close_RefusesOneSidesWordAlone() public {
        bytes memory payers = _closeWord(PAYER_KEY, jobId);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        vm.startPrank(stranger);
        _callerRefused(stranger, settler, address(0));
        escrow.close(order, payers, "");
        _callerRefused(stranger, payer, approver);
        escrow.close(order, "", settlers);
        vm.stopPrank();
        vm.prank(payer);
        _callerRefused(payer, settler, address(0));
        escrow.close(order, payers, "");
        vm.prank(settler);
        _callerRefused(settler, payer, approver);
        escrow.close(order, "", settlers);
    }

    function test_close_RefusesTheCallersSideTwice() public {
        address[3] memory sides = [payer, approver, settler];
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(sides[i]);
            _fails(_tooEarly(end));
            escrow.close(order, "", "");
        }
    }

    function test_close_RefusesAnotherActAsClose() public {
        bytes32 act = Hashes.close(jobId);
        bytes32[2] memory others = [jobId, _digest(Hashes.closeRequest(jobId))];
        bytes memory payers = _closeWord(PAYER_KEY, jobId);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory wrong = _sign(PAYER_KEY, others[i]);
            _signatureRefused(act, payer, approver);
            escrow.close(order, wrong, settlers);
            wrong = _sign(SETTLER_KEY, others[i]);
            _signatureRefused(act, settler, address(0));
            escrow.close(order, payers, wrong);
        }
    }

    function test_close_RefusesAWordForAnotherJob() public {
        bytes memory payers = _closeWord(PAYER_KEY, jobId);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        order.salt = "second";
        bytes32 second = _open(order);
        _signatureRefused(Hashes.close(second), payer, approver);
        escrow.close(order, payers, settlers);
        payers = _closeWord(PAYER_KEY, second);
        _signatureRefused(Hashes.close(second), settler, address(0));
        escrow.close(order, payers, settlers);
    }

    function test_close_RefusesASettlerInThePayersPlaceAndTheReverse() public {
        bytes memory payers = _closeWord(PAYER_KEY, jobId);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        _signatureRefused(Hashes.close(jobId), payer, approver);
        escrow.close(order, settlers, payers);
        _signatureRefused(Hashes.close(jobId), settler, address(0));
        escrow.close(order, payers, payers);
    }

    function test_close_TakesBothSignaturesFromAnyoneBeforeTheEnd() public {
        _release(order, _lot(3));
        uint256[2] memory keys = [PAYER_KEY, APPROVER_KEY];
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = vm.snapshotState();
            bytes memory payers = _closeWord(keys[i], jobId);
            uint96 rest = CAP - 2 ether;
            vm.recordLogs();
            vm.prank(stranger);
            _emits();
            emit IRenderEscrow.Closed(jobId, 3);
            _emits();
            emit IRenderEscrow.Returned(jobId, treasury, rest, 2 ether, 4, rest, 1);
            escrow.close(order, payers, settlers);
            _checkEventCount(2);
            _checkJob(jobId, 2 ether, 2 ether, 0, 2, 4, 2);
            vm.revertToState(before);
        }
    }

    function test_close_TakesThePayersCallWithTheSettlersWord() public {
        _closes(payer, "", _closeWord(SETTLER_KEY, jobId));
    }

    function test_close_TakesTheApproversCallWithTheSettlersWord() public {
        _closes(approver, "", _closeWord(SETTLER_KEY, jobId));
    }

    function test_close_TakesTheSettlersCallWithThePayersOrApproversWord() public {
        uint256 before = vm.snapshotState();
        _closes(settler, _closeWord(PAYER_KEY, jobId), "");
        vm.revertToState(before);
        _closes(settler, _closeWord(APPROVER_KEY, jobId), "");
    }

    function test_close_TakesContractWalletsWords() public {
        order.approver = address(new OwnedWallet(vm.addr(7)));
        order.settler = address(new OwnedWallet(vm.addr(8)));
        jobId = _open(order);
        bytes memory payers = _closeWord(7, jobId);
        bytes memory settlers = _closeWord(8, jobId);
        _signatureRefused(Hashes.close(jobId), payer, order.approver);
        escrow.close(order, settlers, settlers);
        _signatureRefused(Hashes.close(jobId), order.settler, address(0));
        escrow.close(order, payers, payers);
        _closes(stranger, payers, settlers);
    }

    function test_close_TakesBothInAJobWithACloseRequest() public {
        vm.startPrank(payer);
        escrow.requestClose(order, "");
        escrow.close(order, "", _closeWord(SETTLER_KEY, jobId));
        _checkJob(jobId, 0, 0, 0, 0, 4, 2);
        (,,,,,, uint40 requestedAt,) = escrow.job(jobId);
        vm.assertEq(requestedAt, START, "closeRequestedAt");
    }

    function test_close_LeavesPendingLotsAloneWhenBothAgree() public {
        bytes32 lotHash = _commit(order, _sealed(3));
        _closes(payer, "", _closeWord(SETTLER_KEY, jobId));
        _checkJob(jobId, 2 ether, 0, 2 ether, 0, 4, 2);
        _checkTaken(jobId, 0, 3);
        _checkLot(lotHash, 1, START + REVIEW, 0);
        vm.warp(START + REVIEW);
        escrow.settle(order, _one(_sealed(3)), _keys(KEY));
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 5, 2);
        _checkAccount(node, 1.88 ether, 1);
    }

    function test_close_AsksNoWordFromTheEndOn() public {
        vm.warp(end);
        _closes(stranger, "no word", "no word");
    }

    function test_close_ClosesAVoucherJobByDateOrByBothAlone() public {
        order = _voucherOrder();
        jobId = _open(order);
        // All of its no units are paid; still it is not over.
        _fails(_tooEarly(end));
        escrow.close(order, "", "");
        uint256 before = vm.snapshotState();
        _closes(payer, "", _closeWord(SETTLER_KEY, jobId));
        vm.revertToState(before);
        vm.warp(end);
        _closes(stranger, "", "");
    }

    /// Closes by this caller; what is not pending goes to the treasury.
    function _closes(address caller, bytes memory payers, bytes memory settlers) private {
        uint256 had = _free(treasury);
        (uint96 funded, uint96 released, uint96 pending,,,,,) = escrow.job(jobId);
        vm.prank(caller);
        escrow.close(order, payers, settlers);
        (,,,,, uint8 status,,) = escrow.job(jobId);
        vm.assertEq(status, 2, "status");
        vm.assertEq(_free(treasury), had + funded - released - pending, "returned");
    }

    function _jobNotOpen(bytes32 id, uint8 status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, id, status);
    }

    function _tooEarly(uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_TooEarly.selector, jobId, from, block.timestamp
        );
    }
}
