// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of issueCredit and nameSettler, and of what opens, tops up and returns credit.
pragma solidity 0.8.37;

import {Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract CreditTest is Fixture {
    Order private order;
    bytes32 private jobId;
    uint256 private end;

    function setUp() public override {
        super.setUp();
        order = _order();
        jobId = escrow.jobIdOf(order);
        end = uint256(order.workDeadline) + order.claimGrace;
    }

    // ---- constructor ----

    function test_constructor_NamesTheOffices() public view {
        _checkOffices(address(0), 0, 0);
    }

    // ---- issueCredit ----

    function test_issueCredit_RefusesAnybodyButTheIssuer() public {
        address[4] memory others = [payer, settler, guardian, stranger];
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(others[i]);
            _callerRefused(others[i], issuer, address(0));
            escrow.issueCredit(payer, 1);
        }
    }

    function test_issueCredit_RefusesEverybodyWhenThereIsNoIssuer() public {
        escrow = new RenderEscrow(address(rndr), address(0), guardian);
        vm.startPrank(issuer);
        _callerRefused(issuer, address(0), address(0));
        escrow.issueCredit(payer, 1);
        _callerRefused(issuer, address(0), address(0));
        escrow.nameSettler(settler);
    }

    function test_issueCredit_RefusesAZeroOrOwnAccount() public {
        address[2] memory refused = [address(0), address(escrow)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(issuer);
            _fails(
                abi.encodeWithSelector(
                    IRenderEscrow.RenderEscrow_AccountRefused.selector, refused[i]
                )
            );
            escrow.issueCredit(refused[i], 1);
        }
    }

    function test_issueCredit_RefusesAZeroAmount() public {
        vm.prank(issuer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        escrow.issueCredit(payer, 0);
    }

    function test_issueCredit_RefusesWhatTheIssuerDoesNotPayIn() public {
        rndr.mint(issuer, 6);
        vm.startPrank(issuer);
        rndr.approve(address(escrow), 7);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_PullFailed.selector, issuer, 7, 6, 7)
        );
        escrow.issueCredit(payer, 7);
        _checkBalances(payer, 0, 0, 0);
    }

    function test_issueCredit_RefusesWhatWouldPass96BitsInAll() public {
        rndr.mint(address(escrow), type(uint96).max);
        rndr.mint(issuer, 1);
        vm.startPrank(issuer);
        rndr.approve(address(escrow), 1);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_BalanceTooLarge.selector, uint256(2) ** 96
            )
        );
        escrow.issueCredit(payer, 1);
    }

    function test_issueCredit_AddsCreditForAsManyTokens() public {
        _fund(issuer);
        vm.recordLogs();
        vm.prank(issuer);
        _emits();
        emit IRenderEscrow.CreditIssued(payer, 30, 30, 1);
        escrow.issueCredit(payer, 30);
        _checkEventCount(1);
        vm.prank(issuer);
        _emits();
        emit IRenderEscrow.CreditIssued(payer, 12, 42, 2);
        escrow.issueCredit(payer, 12);
        _checkBalances(payer, 0, 42, 2);
        _checkBalances(issuer, 0, 0, 0);
        _checkOffices(address(0), 0, 0);
        vm.assertEq(rndr.balanceOf(address(escrow)), 42, "tokens held");
        vm.assertEq(rndr.balanceOf(issuer), WEALTH - 42, "the issuer's tokens");
    }

    function test_issueCredit_KeepsCreditAndFreeMoneyApartAtTheirLimits() public {
        uint96 most = type(uint96).max;
        rndr.mint(payer, most);
        uint256 before = vm.snapshotState();
        _issue(payer, most);
        _checkBalances(payer, 0, most, 1);
        vm.revertToState(before);
        _deposit(payer, most);
        _checkBalances(payer, most, 0, 1);
        vm.prank(payer);
        escrow.withdraw(3, payer);
        _issue(payer, 3);
        _checkBalances(payer, most - 3, 3, 3);
        _nameSettler(settler);
        order.cap = most;
        vm.prank(payer);
        escrow.openFor(order, payer, "");
        _checkBalances(payer, 0, 0, 4);
        _checkJob(escrow.jobIdOf(order), most, 0, 0, 0, 1, 1);
        _checkCreditShare(escrow.jobIdOf(order), 3);
    }

    function test_issueCredit_IsNeverWithdrawn() public {
        _issue(payer, 10);
        _deposit(payer, 4);
        vm.startPrank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, 5, 4));
        escrow.withdraw(5, payer);
        escrow.withdraw(4, payer);
        _checkBalances(payer, 0, 10, 3);
    }

    // ---- nameSettler ----

    function test_nameSettler_RefusesAnybodyButTheIssuer() public {
        vm.prank(settler);
        _callerRefused(settler, issuer, address(0));
        escrow.nameSettler(settler);
        vm.prank(guardian);
        _callerRefused(guardian, issuer, address(0));
        escrow.nameSettler(settler);
    }

    function test_nameSettler_NamesAndUnnames() public {
        vm.recordLogs();
        vm.prank(issuer);
        _emits();
        emit IRenderEscrow.CreditSettlerNamed(settler, 1);
        escrow.nameSettler(settler);
        _checkEventCount(1);
        _checkOffices(settler, 0, 1);
        vm.prank(issuer);
        _emits();
        emit IRenderEscrow.CreditSettlerNamed(address(0), 2);
        escrow.nameSettler(address(0));
        _checkOffices(address(0), 0, 2);
    }

    function test_nameSettler_LeavesOpenJobsAsTheyAre() public {
        _credited(CAP);
        _open(order);
        _nameSettler(stranger);
        _release(order, _lot(1));
        vm.warp(end);
        escrow.close(order, "", "");
        _checkBalances(payer, 0, CAP - 1 ether, 3);
    }

    // ---- open ----

    function test_open_SpendsNoCreditWithAnotherSettler() public {
        _issue(payer, CAP);
        _nameSettler(stranger);
        _opens(0, CAP, 0, CAP, 2);
    }

    function test_open_SpendsNoCreditWhenNoSettlerIsNamed() public {
        _issue(payer, CAP);
        _opens(0, CAP, 0, CAP, 2);
        _checkCreditShare(jobId, 0);
    }

    function test_open_SpendsNoCreditOfWhoOpensForAnother() public {
        _fund(stranger);
        _issue(stranger, CAP);
        _issue(payer, CAP);
        _nameSettler(settler);
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, stranger, order, 0, CAP, 0, CAP, 2);
        escrow.open(order);
        _checkBalances(stranger, 0, CAP, 2);
        _checkBalances(payer, 0, CAP, 1);
        _checkCreditShare(jobId, 0);
    }

    function test_open_SpendsAPartOfTheCredit() public {
        _credited(CAP + 1);
        _opens(CAP, 0, 0, 1, 2);
        _checkCreditShare(jobId, CAP);
    }

    function test_open_SpendsExactlyAllCredit() public {
        _credited(CAP);
        _opens(CAP, 0, 0, 0, 2);
        _checkCreditShare(jobId, CAP);
    }

    function test_open_MixesCreditFreeAndPulled() public {
        _credited(100);
        _deposit(payer, 20);
        _opens(100, CAP - 120, 0, 0, 3);
        _checkCreditShare(jobId, 100);
        vm.assertEq(rndr.balanceOf(address(escrow)), CAP, "tokens held");
        vm.assertEq(rndr.balanceOf(payer), WEALTH - CAP + 100, "the payer's tokens");
    }

    function test_open_TakesNothingFromFreeMoneyWhenAllIsCredit() public {
        _credited(CAP);
        _deposit(payer, 20);
        _opens(CAP, 0, 20, 0, 3);
    }

    function test_open_KeepsTheCreditWhenTheAllowanceLacks() public {
        _credited(CAP - 1);
        vm.startPrank(payer);
        rndr.approve(address(escrow), 0);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector, payer, 1, WEALTH, 0
            )
        );
        escrow.open(order);
        _checkBalances(payer, 0, CAP - 1, 1);
        _checkCreditShare(jobId, 0);
    }

    // ---- openFor ----

    function test_openFor_MixesCreditAndFree() public {
        _credited(100);
        _deposit(payer, CAP);
        bytes memory word = _sign(PAYER_KEY, jobId);
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, 100, 0, 100, 0, 3);
        escrow.openFor(order, payer, word);
        _checkEventCount(1);
        _checkBalances(payer, 100, 0, 3);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
        _checkCreditShare(jobId, 100);
    }

    function test_openFor_RefusesWhatBothDoNotCover() public {
        _credited(100);
        _deposit(payer, CAP - 101);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, CAP - 100, CAP - 101
            )
        );
        escrow.openFor(order, payer, "");
        _checkBalances(payer, CAP - 101, 100, 2);
    }

    // ---- topUp ----

    function test_topUp_TakesFreeMoneyAlone() public {
        _credited(CAP + 10);
        _open(order);
        _deposit(payer, 4);
        vm.startPrank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, 5, 4));
        escrow.topUp(jobId, 5);
        escrow.topUp(jobId, 4);
        _checkBalances(payer, 0, 10, 4);
        _checkJob(jobId, CAP + 4, 0, 0, 0, 2, 1);
        _checkCreditShare(jobId, CAP);
    }

    // ---- close ----

    function test_close_ReturnsCreditToThePayerWhenNothingWasPaid() public {
        _credited(CAP);
        _open(order);
        vm.warp(end);
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Closed(jobId, 2);
        _emits();
        emit IRenderEscrow.CreditReturned(jobId, payer, CAP, 0, 3, CAP, 3);
        escrow.close(order, "", "");
        _checkEventCount(2);
        _checkBalances(payer, 0, CAP, 3);
        _checkBalances(treasury, 0, 0, 0);
        _checkJob(jobId, 0, 0, 0, 0, 3, 2);
        _checkCreditShare(jobId, 0);
    }

    function test_close_ReturnsFreeMoneyAloneWhenTheCreditWasPaid() public {
        _credited(1 ether);
        _open(order);
        _release(order, _lot(3));
        vm.warp(end);
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Closed(jobId, 3);
        _emits();
        emit IRenderEscrow.Returned(jobId, treasury, CAP - 2 ether, 2 ether, 4, CAP - 2 ether, 1);
        escrow.close(order, "", "");
        _checkEventCount(2);
        _checkBalances(payer, 0, 0, 2);
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 4, 2);
        _checkCreditShare(jobId, 1 ether);
    }

    function test_close_ReturnsACreditThatWasPaidExactlyToNobody() public {
        order.cap = 2 ether;
        order.units = 2;
        jobId = escrow.jobIdOf(order);
        _credited(2 ether);
        _open(order);
        _release(order, _lot(3));
        vm.recordLogs();
        escrow.close(order, "", "");
        _checkEventCount(1);
        _checkBalances(payer, 0, 0, 2);
        _checkBalances(treasury, 0, 0, 0);
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 3, 2);
    }

    function test_close_SplitsWhatIsLeftBetweenCreditAndRefundTo() public {
        _credited(100 ether);
        _open(order);
        _release(order, _lot(3));
        vm.warp(end);
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Closed(jobId, 3);
        _emits();
        emit IRenderEscrow.CreditReturned(jobId, payer, 98 ether, 202 ether, 4, 98 ether, 3);
        _emits();
        emit IRenderEscrow.Returned(jobId, treasury, 200 ether, 2 ether, 5, 200 ether, 1);
        escrow.close(order, "", "");
        _checkEventCount(3);
        _checkBalances(payer, 0, 98 ether, 3);
        _checkBalances(treasury, 200 ether, 0, 1);
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 5, 2);
        _checkCreditShare(jobId, 2 ether);
    }

    function test_close_KeepsCreditForPendingLotsFirst() public {
        _credited(3 ether);
        _open(order);
        _closedWith(_sealed(7));
        // All the credit may still be paid; what returns is the free money.
        _checkBalances(payer, 0, 0, 2);
        _checkBalances(treasury, CAP - 3 ether, 0, 1);
        _checkJob(jobId, 3 ether, 0, 3 ether, 0, 4, 2);
        _checkCreditShare(jobId, 3 ether);
    }

    function test_close_KeepsAPartOfTheCreditForPendingLots() public {
        _credited(10 ether);
        _open(order);
        _release(order, _lot(0x18));
        _closedWith(_sealed(7));
        _checkBalances(payer, 0, 5 ether, 3);
        _checkBalances(treasury, CAP - 10 ether, 0, 1);
        _checkJob(jobId, 5 ether, 2 ether, 3 ether, 2, 6, 2);
        _checkCreditShare(jobId, 5 ether);
    }

    function test_close_ReturnsTopUpsAfterTheCredit() public {
        _credited(CAP);
        _open(order);
        _deposit(payer, 5 ether);
        vm.prank(payer);
        escrow.topUp(jobId, 5 ether);
        _release(order, _lot(1));
        vm.warp(end);
        escrow.close(order, "", "");
        _checkBalances(payer, 0, CAP - 1 ether, 5);
        _checkBalances(treasury, 5 ether, 0, 1);
    }

    // ---- reject and lapse in a closed job ----

    function test_reject_ReturnsCreditOfAClosedJob() public {
        _credited(3 ether);
        _open(order);
        bytes32 lotHash = _closedWith(_sealed(7));
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Rejected(jobId, payer, lotHash, 1, "why", 1 ether, 2 ether, 5);
        _emits();
        emit IRenderEscrow.CreditReturned(jobId, payer, 1 ether, 2 ether, 6, 1 ether, 3);
        escrow.reject(order, _sealed(7), 1, "why", "");
        _checkEventCount(2);
        _checkBalances(payer, 0, 1 ether, 3);
        _checkBalances(treasury, CAP - 3 ether, 0, 1);
        _checkJob(jobId, 2 ether, 0, 2 ether, 0, 6, 2);
        _checkCreditShare(jobId, 2 ether);
    }

    function test_reject_ReturnsCreditAndFreeMoneyOfAClosedJob() public {
        _credited(1.5 ether);
        _open(order);
        bytes32 lotHash = _closedWith(_sealed(7));
        vm.recordLogs();
        vm.prank(approver);
        _emits();
        emit IRenderEscrow.Rejected(jobId, approver, lotHash, 6, "why", 2 ether, 1 ether, 5);
        _emits();
        emit IRenderEscrow.CreditReturned(jobId, payer, 0.5 ether, 2.5 ether, 6, 0.5 ether, 3);
        _emits();
        emit IRenderEscrow.Returned(jobId, treasury, 1.5 ether, 1 ether, 7, CAP - 1.5 ether, 2);
        escrow.reject(order, _sealed(7), 6, "why", "");
        _checkEventCount(3);
        _checkBalances(payer, 0, 0.5 ether, 3);
        _checkJob(jobId, 1 ether, 0, 1 ether, 0, 7, 2);
        _checkCreditShare(jobId, 1 ether);
    }

    function test_reject_ReturnsFreeMoneyAloneAfterPaidCredit() public {
        _credited(1 ether);
        _open(order);
        _release(order, _lot(8));
        _closedWith(_sealed(7));
        vm.recordLogs();
        vm.prank(payer);
        escrow.reject(order, _sealed(7), 7, "", "");
        _checkEventCount(2);
        _checkBalances(payer, 0, 0, 2);
        _checkBalances(treasury, CAP - 1 ether, 0, 2);
        _checkCreditShare(jobId, 1 ether);
    }

    function test_reject_ReturnsNothingInAnOpenJob() public {
        _credited(3 ether);
        _open(order);
        _commit(order, _sealed(7));
        vm.recordLogs();
        vm.prank(payer);
        escrow.reject(order, _sealed(7), 7, "", "");
        _checkEventCount(1);
        _checkBalances(payer, 0, 0, 2);
        _checkJob(jobId, CAP, 0, 0, 0, 3, 1);
        _checkCreditShare(jobId, 3 ether);
    }

    function test_lapse_ReturnsCreditOfAClosedJob() public {
        _credited(10 ether);
        _open(order);
        bytes32 lotHash = _closedWith(_sealed(7));
        _checkBalances(payer, 0, 7 ether, 3);
        vm.warp(end - 1 + REVIEW + GRACE);
        vm.recordLogs();
        _emits();
        emit IRenderEscrow.Lapsed(jobId, lotHash, 7, 3 ether, 0, 6);
        _emits();
        emit IRenderEscrow.CreditReturned(jobId, payer, 3 ether, 0, 7, 10 ether, 4);
        escrow.lapse(order, _sealed(7));
        _checkEventCount(2);
        _checkBalances(payer, 0, 10 ether, 4);
        _checkJob(jobId, 0, 0, 0, 0, 7, 2);
        _checkCreditShare(jobId, 0);
    }

    // ---- spend ----

    function testFuzz_spend_ConservesCreditAndTokens(uint96 credit, uint8 paid, uint8 pending)
        public
    {
        credit = uint96(1 + credit % (2 * CAP));
        _credited(credit);
        _open(order);
        uint256 locked = credit < CAP ? credit : CAP;
        if (paid & 0x0f != 0) _release(order, _lotOf(node, 1, paid & 0x0f, 0));
        _closedWith(_sealed(uint256(pending) | 1));
        vm.prank(payer);
        escrow.reject(order, _sealed(uint256(pending) | 1), uint256(pending) | 1, "", "");
        (, uint96 released,,,,,,) = escrow.job(jobId);
        uint256 left = locked > released ? locked - released : 0;
        vm.assertEq(_creditOf(payer), credit - locked + left, "credit that is back");
        vm.assertEq(_free(treasury), CAP - released - left, "free money that is back");
    }

    // ---- what these have in common ----

    function _credited(uint96 amount) private {
        _issue(payer, amount);
        _nameSettler(settler);
    }

    /// Commits the lot in the last second and closes.
    function _closedWith(Lot memory lot) private returns (bytes32 lotHash) {
        vm.warp(end - 1);
        lotHash = _commit(order, lot);
        vm.warp(end);
        escrow.close(order, "", "");
    }

    function _opens(uint96 ofCredit, uint96 pulled, uint96 free, uint96 credit, uint64 seq)
        private
    {
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, ofCredit, pulled, free, credit, seq);
        escrow.open(order);
        _checkEventCount(1);
        _checkBalances(payer, free, credit, seq);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
        _checkCreditShare(jobId, ofCredit);
    }
}
