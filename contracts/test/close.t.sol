// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of requestClose and close.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
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

    function _jobNotOpen(bytes32 id, uint8 status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, id, status);
    }

    function _tooEarly(uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_TooEarly.selector, jobId, from, block.timestamp
        );
    }
}
