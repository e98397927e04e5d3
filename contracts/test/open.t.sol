// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of open, openFor and topUp, and every bound of an order's terms.
pragma solidity 0.8.37;

import {Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {OwnedWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";

contract OpenTest is Fixture {
    // ---- terms ----

    function test_terms_RefuseAZeroOrOwnParty() public {
        Order memory order = _order();
        order.payer = address(0);
        _refusesAccount(order, address(0));
        order = _order();
        order.payer = address(escrow);
        _refusesAccount(order, address(escrow));
        order = _order();
        order.refundTo = address(0);
        _refusesAccount(order, address(0));
        order = _order();
        order.refundTo = address(escrow);
        _refusesAccount(order, address(escrow));
        order = _order();
        order.settler = address(0);
        _refusesAccount(order, address(0));
    }

    function test_terms_RefuseAUsedFeeReceiverThatIsZeroOrTheEscrow() public {
        Order memory order = _order();
        order.feeReceiver = address(0);
        _refusesAccount(order, address(0));
        order.feeReceiver = address(escrow);
        _refusesAccount(order, address(escrow));
    }

    function test_terms_TakeAnUnusedFeeReceiverOfZero() public {
        Order memory order = _order();
        order.feeReceiver = address(0);
        order.feeBps = 0;
        _open(order);
    }

    function test_terms_RefuseASettlerWhoIsThePayer() public {
        Order memory order = _order();
        order.settler = payer;
        _refusesSettler(order);
    }

    function test_terms_RefuseASettlerWhoIsTheApprover() public {
        Order memory order = _order();
        order.settler = approver;
        _refusesSettler(order);
    }

    function test_terms_RefuseAZeroCap() public {
        Order memory order = _order();
        order.cap = 0;
        _refusesTerm(order, "cap", 0, 1, type(uint96).max);
    }

    function test_terms_RefuseAZeroMaxUnitPrice() public {
        Order memory order = _order();
        order.maxUnitPrice = 0;
        _refusesTerm(order, "maxUnitPrice", 0, 1, type(uint96).max);
    }

    function test_terms_BoundUnits() public {
        Order memory order = _order();
        order.units = 2 ** 24;
        _refusesTerm(order, "units", 2 ** 24, 0, type(uint24).max);
        order.units = 2 ** 24 - 1;
        _open(order);
        order.units = 0;
        _open(order);
    }

    function test_terms_BoundOpenByByWorkDeadline() public {
        Order memory order = _order();
        order.workDeadline = order.openBy - 1;
        _refusesTerm(order, "openBy", order.openBy, 0, order.openBy - 1);
        order.workDeadline = order.openBy;
        _open(order);
    }

    function test_terms_BoundReviewSeconds() public {
        Order memory order = _order();
        order.reviewSeconds = 10 minutes - 1;
        _refusesTerm(order, "reviewSeconds", 599, 600, 14 days);
        order.reviewSeconds = 14 days + 1;
        _refusesTerm(order, "reviewSeconds", 14 days + 1, 600, 14 days);
        order.reviewSeconds = 10 minutes;
        _open(order);
        order.reviewSeconds = 14 days;
        _open(order);
    }

    function test_terms_BoundClaimGrace() public {
        Order memory order = _order();
        order.claimGrace = 1 hours - 1;
        _refusesTerm(order, "claimGrace", 3599, 3600, 14 days);
        order.claimGrace = 14 days + 1;
        _refusesTerm(order, "claimGrace", 14 days + 1, 3600, 14 days);
        order.claimGrace = 1 hours;
        _open(order);
        order.claimGrace = 14 days;
        _open(order);
    }

    function test_terms_BoundFeeBps() public {
        Order memory order = _order();
        order.feeBps = 1001;
        _refusesTerm(order, "feeBps", 1001, 0, 1000);
        order.feeBps = 1000;
        _open(order);
    }

    function test_terms_BoundFeeAndBurnTogether() public {
        Order memory order = _order();
        order.burnBps = 9501;
        _refusesTerm(order, "burnBps", 9501, 0, 9500);
        order.burnBps = 9500;
        _open(order);
    }

    // ---- open ----

    function test_open_RefusesFromOpenByOn() public {
        Order memory order = _order();
        bytes32 jobId = escrow.jobIdOf(order);
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(order.openBy + late);
            vm.prank(payer);
            _fails(
                abi.encodeWithSelector(
                    IRenderEscrow.RenderEscrow_DeadlinePassed.selector,
                    jobId,
                    order.openBy,
                    order.openBy + late
                )
            );
            escrow.open(order);
        }
        vm.warp(order.openBy - 1);
        _open(order);
    }

    function test_open_RefusesAJobThatIsOpen() public {
        (Order memory order, bytes32 jobId) = _opened();
        vm.prank(stranger);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobKnown.selector, jobId, uint8(1))
        );
        escrow.open(order);
    }

    function test_open_RefusesAJobThatWasClosed() public {
        Order memory order = _order();
        order.units = 1;
        bytes32 jobId = _open(order);
        _release(order, _lot(1));
        escrow.close(order, "", "");
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobKnown.selector, jobId, uint8(2))
        );
        escrow.open(order);
    }

    function test_open_RefusesALackThatTheAllowanceDoesNotCover() public {
        Order memory order = _order();
        _deposit(payer, 1 ether);
        vm.startPrank(payer);
        rndr.approve(address(escrow), 5);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector,
                payer,
                CAP - 1 ether,
                WEALTH - 1 ether,
                5
            )
        );
        escrow.open(order);
        vm.stopPrank();
        _checkAccount(payer, 1 ether, 1);
        _checkJob(escrow.jobIdOf(order), 0, 0, 0, 0, 0, 0);
    }

    function test_open_PaysFromFreeMoneyFirst() public {
        Order memory order = _order();
        bytes32 jobId = escrow.jobIdOf(order);
        _deposit(payer, CAP + 7);
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, 0, 0, 7, 0, 2);
        vm.assertEq(escrow.open(order), jobId, "jobId");
        _checkEventCount(1);
        _checkAccount(payer, 7, 2);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
    }

    function test_open_PullsTheLackFromTheCallersAllowance() public {
        Order memory order = _order();
        bytes32 jobId = escrow.jobIdOf(order);
        _deposit(payer, 7);
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, 0, CAP - 7, 0, 0, 2);
        escrow.open(order);
        _checkAccount(payer, 0, 2);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
        vm.assertEq(rndr.balanceOf(address(escrow)), CAP, "tokens held");
    }

    function test_open_LetsAnyonePayWithItsOwnMoney() public {
        Order memory order = _order();
        bytes32 jobId = escrow.jobIdOf(order);
        _fund(stranger);
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, stranger, order, 0, CAP, 0, 0, 1);
        escrow.open(order);
        _checkAccount(payer, 0, 0);
        _checkAccount(stranger, 0, 1);
        vm.assertEq(rndr.balanceOf(payer), WEALTH, "the payer's tokens");
    }

    function testFuzz_open_KeepsEveryToken(uint96 free, uint96 cap) public {
        vm.assume(cap != 0 && free != 0);
        vm.assume(uint256(free) + cap <= type(uint96).max);
        Order memory order = _order();
        order.cap = cap;
        rndr.mint(payer, uint256(free) + cap);
        _deposit(payer, free);
        bytes32 jobId = _open(order);
        _checkAccount(payer, free > cap ? free - cap : 0, 2);
        _checkJob(jobId, cap, 0, 0, 0, 1, 1);
        vm.assertEq(rndr.balanceOf(address(escrow)), free > cap ? free : cap, "tokens held");
    }

    // ---- openFor ----

    function test_openFor_RefusesASignerWhoIsNotThePayer() public {
        Order memory order = _order();
        bytes memory signature = _sign(STRANGER_KEY, escrow.jobIdOf(order));
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SignerRefused.selector, stranger, payer, 0, START
            )
        );
        escrow.openFor(order, stranger, signature);
    }

    function test_openFor_RefusesAnotherSignature() public {
        Order memory order = _order();
        _deposit(payer, CAP);
        bytes memory signature = _sign(STRANGER_KEY, escrow.jobIdOf(order));
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SignatureRefused.selector,
                escrow.jobIdOf(order),
                payer,
                address(0)
            )
        );
        escrow.openFor(order, payer, signature);
    }

    function test_openFor_RefusesAnEmptySignatureOfSomebodyElse() public {
        Order memory order = _order();
        _deposit(payer, CAP);
        vm.prank(stranger);
        _callerRefused(stranger, payer, address(0));
        escrow.openFor(order, payer, "");
    }

    function test_openFor_RefusesWhatIsNotDeposited() public {
        Order memory order = _order();
        _deposit(payer, CAP - 1);
        bytes memory signature = _sign(PAYER_KEY, escrow.jobIdOf(order));
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, CAP, CAP - 1
            )
        );
        escrow.openFor(order, payer, signature);
    }

    function test_openFor_OpensByThePayersSignatureFromItsAccount() public {
        Order memory order = _order();
        bytes32 jobId = escrow.jobIdOf(order);
        _deposit(payer, CAP + 1);
        bytes memory signature = _sign(PAYER_KEY, jobId);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, 0, 0, 1, 0, 2);
        vm.assertEq(escrow.openFor(order, payer, signature), jobId, "jobId");
        _checkEventCount(1);
        _checkAccount(payer, 1, 2);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
    }

    function test_openFor_OpensByThePayersCall() public {
        Order memory order = _order();
        _deposit(payer, CAP);
        vm.prank(payer);
        bytes32 jobId = escrow.openFor(order, payer, "");
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
    }

    function test_openFor_OpensByAContractWalletsWord() public {
        OwnedWallet wallet = new OwnedWallet(stranger);
        Order memory order = _order();
        order.payer = address(wallet);
        vm.prank(payer);
        escrow.depositFor(address(wallet), CAP);
        bytes32 jobId = escrow.jobIdOf(order);
        escrow.openFor(order, address(wallet), _sign(STRANGER_KEY, jobId));
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
        _checkAccount(address(wallet), 0, 2);
    }

    // ---- topUp ----

    function test_topUp_RefusesAJobThatIsNotOpen() public {
        _deposit(payer, 5);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_JobNotOpen.selector, bytes32("job"), uint8(0)
            )
        );
        escrow.topUp("job", 5);
    }

    function test_topUp_RefusesAClosedJob() public {
        (Order memory order, bytes32 jobId) = _opened();
        vm.warp(order.workDeadline + order.claimGrace);
        escrow.close(order, "", "");
        _deposit(payer, 5);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, jobId, uint8(2))
        );
        escrow.topUp(jobId, 5);
    }

    function test_topUp_RefusesAZeroAmount() public {
        (, bytes32 jobId) = _opened();
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        escrow.topUp(jobId, 0);
    }

    function test_topUp_RefusesMoreThanIsFree() public {
        (, bytes32 jobId) = _opened();
        _deposit(payer, 5);
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, 6, 5));
        escrow.topUp(jobId, 6);
    }

    function test_topUp_AddsAnybodysFreeMoney() public {
        (, bytes32 jobId) = _opened();
        _fund(stranger);
        _deposit(stranger, 5);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.ToppedUp(jobId, stranger, 3, CAP + 3, 2, 2, 2);
        escrow.topUp(jobId, 3);
        _checkEventCount(1);
        _checkAccount(stranger, 2, 2);
        _checkJob(jobId, CAP + 3, 0, 0, 0, 2, 1);
    }

    function test_topUp_PaysForUnitsBeyondTheCap() public {
        Order memory order = _order();
        order.cap = 1 ether;
        bytes32 jobId = _open(order);
        _deposit(payer, 1 ether);
        vm.prank(payer);
        escrow.topUp(jobId, 1 ether);
        Lot memory lot = _lot(3);
        _release(order, lot);
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 3, 1);
    }

    // ---- what the refusals have in common ----

    function _refusesAccount(Order memory order, address account) private {
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, account));
        escrow.open(order);
    }

    function _refusesSettler(Order memory order) private {
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SettlerOnPayerSide.selector, order.settler
            )
        );
        escrow.open(order);
    }

    function _refusesTerm(
        Order memory order,
        bytes32 term,
        uint256 given,
        uint256 least,
        uint256 most
    ) private {
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_TermRefused.selector, term, given, least, most
            )
        );
        escrow.open(order);
    }
}
