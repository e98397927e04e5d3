// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of redeem.
pragma solidity 0.8.37;

import {Hashes, Order, Payout} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {OwnedWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";

contract RedeemTest is Fixture {
    Order private order;
    bytes32 private jobId;
    uint256 private end;

    function setUp() public override {
        super.setUp();
        order = _voucherOrder();
        jobId = _open(order);
        end = uint256(order.workDeadline) + order.claimGrace;
    }

    // ---- guards ----

    function test_redeem_RefusesAnUnknownJob() public {
        order.salt = "other";
        _refuses(10, _payout(node, 10), _jobNotOpen(escrow.jobIdOf(order), 0));
    }

    function test_redeem_RefusesAClosedJob() public {
        escrow.close(order, _closeWord(PAYER_KEY, jobId), _closeWord(SETTLER_KEY, jobId));
        _refuses(10, _payout(node, 10), _jobNotOpen(jobId, 2));
    }

    function test_redeem_RefusesFromTheJobsEndOn() public {
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(end + late);
            _refuses(10, _payout(node, 10), _deadlinePassed(end));
        }
        vm.warp(end - 1);
        _redeem(order, 10, _payout(node, 10));
    }

    function test_redeem_RefusesFromTheEndThatACloseRequestSetOn() public {
        vm.prank(payer);
        escrow.requestClose(order, "");
        vm.warp(START + GRACE);
        _refuses(10, _payout(node, 10), _deadlinePassed(START + GRACE));
        vm.warp(START + GRACE - 1);
        _redeem(order, 10, _payout(node, 10));
    }

    function test_redeem_RefusesAJobWithUnits() public {
        order.units = 1;
        order.maxUnitPrice = 1;
        jobId = _open(order);
        bytes memory error_ = abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_JobTakesNoVouchers.selector, jobId, uint32(1)
        );
        _refuses(10, _payout(node, 10), error_);
    }

    function test_redeem_RefusesNoPayouts() public {
        _refuses(10, new Payout[](0), _countRefused(0));
    }

    function test_redeem_RefusesMoreThan256Payouts() public {
        _refuses(257, _manyPayouts(257), _countRefused(257));
    }

    // ---- roles ----

    function test_redeem_RefusesACallerWhoIsNotOfThePayersSideWithoutVoucher() public {
        vm.prank(settler);
        _callerRefused(settler, payer, approver);
        escrow.redeem(order, 10, "", _payout(node, 10), "");
    }

    function test_redeem_RefusesAVoucherOfAnotherTotal() public {
        bytes memory voucher = _voucher(jobId, 10);
        vm.prank(settler);
        _signatureRefused(Hashes.voucher(jobId, 11), payer, approver);
        escrow.redeem(order, 11, voucher, _payout(node, 11), "");
    }

    function test_redeem_RefusesAVoucherByTheSettlerOrAStranger() public {
        bytes32 act = Hashes.voucher(jobId, 10);
        uint256[2] memory keys = [SETTLER_KEY, STRANGER_KEY];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory voucher = _sign(keys[i], _digest(act));
            vm.prank(settler);
            _signatureRefused(act, payer, approver);
            escrow.redeem(order, 10, voucher, _payout(node, 10), "");
        }
    }

    function test_redeem_RefusesACallerWhoIsNotTheSettlerWithoutRedemption() public {
        bytes memory voucher = _voucher(jobId, 10);
        vm.prank(payer);
        _callerRefused(payer, settler, address(0));
        escrow.redeem(order, 10, voucher, _payout(node, 10), "");
    }

    function test_redeem_RefusesARedemptionOfAnotherTotal() public {
        bytes memory consent = _redemption(jobId, 10, _payout(node, 11));
        bytes memory voucher = _voucher(jobId, 11);
        _signatureRefused(_redemptionAct(jobId, 11, _payout(node, 11)), settler, address(0));
        escrow.redeem(order, 11, voucher, _payout(node, 11), consent);
    }

    function test_redeem_RefusesARedemptionOfOtherPayouts() public {
        bytes memory consent = _redemption(jobId, 10, _payout(node, 10));
        bytes memory voucher = _voucher(jobId, 10);
        _signatureRefused(_redemptionAct(jobId, 10, _payout(stranger, 10)), settler, address(0));
        escrow.redeem(order, 10, voucher, _payout(stranger, 10), consent);
        Payout[] memory split = _payouts(node, 9, node, 1);
        _signatureRefused(_redemptionAct(jobId, 10, split), settler, address(0));
        escrow.redeem(order, 10, voucher, split, consent);
    }

    function test_redeem_RefusesARedemptionByThePayer() public {
        bytes32 act = _redemptionAct(jobId, 10, _payout(node, 10));
        bytes memory consent = _sign(PAYER_KEY, _digest(act));
        vm.startPrank(payer);
        _signatureRefused(act, settler, address(0));
        escrow.redeem(order, 10, "", _payout(node, 10), consent);
    }

    // ---- amounts ----

    function test_redeem_RefusesAVoucherThatWasRedeemed() public {
        _redeem(order, 10, _payout(node, 10));
        _refuses(10, _payout(node, 10), _voucherSpent(10, 10));
        _refuses(9, _payout(node, 9), _voucherSpent(9, 10));
        _redeem(order, 11, _payout(node, 1));
        _checkJob(jobId, CAP, 11, 0, 0, 3, 1);
    }

    function test_redeem_RefusesAVoucherOfZero() public {
        _refuses(0, _payout(node, 0), _voucherSpent(0, 0));
    }

    function test_redeem_RefusesMoreThanTheJobHolds() public {
        _refuses(CAP + 1, _payout(node, CAP + 1), _fundsTooLow(CAP + 1, CAP));
        _redeem(order, CAP - 3, _payout(node, CAP - 3));
        _refuses(CAP + 1, _payout(node, 4), _fundsTooLow(4, 3));
        _redeem(order, CAP, _payout(node, 3));
        _checkJob(jobId, CAP, CAP, 0, 0, 3, 1);
    }

    function test_redeem_RefusesAZeroOrOwnNode() public {
        address[2] memory refused = [address(0), address(escrow)];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory error_ = abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_AccountRefused.selector, refused[i]
            );
            _refuses(10, _payouts(node, 4, refused[i], 6), error_);
        }
    }

    function test_redeem_RefusesAPayoutOfZero() public {
        bytes memory error_ =
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector);
        _refuses(10, _payouts(node, 10, otherNode, 0), error_);
        _refuses(10, _payouts(otherNode, 0, node, 10), error_);
    }

    function test_redeem_RefusesPayoutsBelowWhatIsDue() public {
        _redeem(order, 100, _payout(node, 100));
        _refuses(110, _payout(node, 9), _payoutsWrong(9, 10));
        _refuses(110, _payouts(node, 4, otherNode, 5), _payoutsWrong(9, 10));
        _checkJob(jobId, CAP, 100, 0, 0, 2, 1);
    }

    function test_redeem_RefusesAPayoutAboveWhatIsDue() public {
        _redeem(order, 100, _payout(node, 100));
        _refuses(110, _payout(node, 11), _payoutsWrong(11, 10));
        _refuses(110, _payout(node, type(uint96).max), _payoutsWrong(type(uint96).max, 10));
    }

    function test_redeem_RefusesPayoutsAboveWhatIsLeftOfIt() public {
        _redeem(order, 100, _payout(node, 100));
        _refuses(110, _payouts(node, 4, otherNode, 7), _payoutsWrong(7, 6));
        _refuses(110, _payouts(node, 10, otherNode, 1), _payoutsWrong(1, 0));
    }

    // ---- payments ----

    function test_redeem_PaysNodeFeeAndBurn() public {
        bytes memory voucher = _voucher(jobId, 1000);
        vm.recordLogs();
        vm.prank(settler);
        _emits();
        emit IRenderEscrow.Redeemed(jobId, node, 1000, 50, 10, 1000, 2, 940, 1);
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 50, 50, 1);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 10, 10, 1);
        escrow.redeem(order, 1000, voucher, _payout(node, 1000), "");
        _checkEventCount(3);
        _checkJob(jobId, CAP, 1000, 0, 0, 2, 1);
        _checkBalances(node, 940, 0, 1);
        _checkBalances(fees, 50, 0, 1);
        _checkBalances(DEAD, 10, 0, 1);
        _checkBalances(payer, 0, 0, 1);
        _checkAccount(settler, 0, 0);
        _checkTaken(jobId, 0, 0);
        _checkCreditShare(jobId, 0);
    }

    function test_redeem_PaysTheDifferenceToTheLastTotal() public {
        _redeem(order, 1000, _payout(node, 1000));
        bytes memory voucher = _voucher(jobId, 3000);
        vm.recordLogs();
        vm.prank(settler);
        _emits();
        emit IRenderEscrow.Redeemed(jobId, otherNode, 2000, 100, 20, 3000, 3, 1880, 1);
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 100, 150, 2);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 20, 30, 2);
        escrow.redeem(order, 3000, voucher, _payout(otherNode, 2000), "");
        _checkEventCount(3);
        _checkJob(jobId, CAP, 3000, 0, 0, 3, 1);
        _checkAccount(node, 940, 1);
    }

    function test_redeem_SplitsOverNodesAndSumsShares() public {
        bytes memory voucher = _voucher(jobId, 3000);
        vm.recordLogs();
        vm.prank(settler);
        _emits();
        emit IRenderEscrow.Redeemed(jobId, node, 1000, 50, 10, 1000, 2, 940, 1);
        _emits();
        emit IRenderEscrow.Redeemed(jobId, otherNode, 2000, 100, 20, 3000, 3, 1880, 1);
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 150, 150, 1);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 30, 30, 1);
        escrow.redeem(order, 3000, voucher, _payouts(node, 1000, otherNode, 2000), "");
        _checkEventCount(4);
        _checkJob(jobId, CAP, 3000, 0, 0, 3, 1);
        _checkAccount(node, 940, 1);
        _checkAccount(otherNode, 1880, 1);
    }

    function test_redeem_PaysOneNodeTwice() public {
        _redeem(order, 3000, _payouts(node, 1000, node, 2000));
        _checkAccount(node, 2820, 2);
        _checkAccount(fees, 150, 1);
    }

    function test_redeem_Takes256Payouts() public {
        _redeem(order, 256, _manyPayouts(256));
        _checkJob(jobId, CAP, 256, 0, 0, 257, 1);
        _checkAccount(address(uint160(0x10000)), 1, 1);
        _checkAccount(address(uint160(0x10000 + 255)), 1, 1);
    }

    function test_redeem_RoundsSharesDownPerPayout() public {
        // 5 % of 19 is 0.95, of 20 is 1; 1 % of 99 is 0.99.
        _redeem(order, 19 + 99, _payouts(node, 19, otherNode, 99));
        _checkAccount(node, 19, 1);
        _checkAccount(otherNode, 95, 1);
        _checkAccount(fees, 4, 1);
        _checkAccount(DEAD, 0, 0);
        _redeem(order, 118 + 20 + 100, _payouts(node, 20, otherNode, 100));
        _checkAccount(node, 38, 2);
        _checkAccount(otherNode, 189, 2);
        _checkAccount(fees, 10, 2);
        _checkAccount(DEAD, 1, 1);
    }

    function test_redeem_CreditsNoSharesOfZero() public {
        order.feeBps = 0;
        order.burnBps = 0;
        jobId = _open(order);
        bytes memory voucher = _voucher(jobId, 1000);
        vm.recordLogs();
        vm.prank(settler);
        escrow.redeem(order, 1000, voucher, _payout(node, 1000), "");
        _checkEventCount(1);
        _checkAccount(node, 1000, 1);
        _checkAccount(fees, 0, 0);
        _checkAccount(DEAD, 0, 0);
    }

    // ---- ways to consent ----

    function test_redeem_TakesTheApproversVoucher() public {
        bytes memory voucher = _sign(APPROVER_KEY, _digest(Hashes.voucher(jobId, 10)));
        vm.prank(settler);
        escrow.redeem(order, 10, voucher, _payout(node, 10), "");
        _checkJob(jobId, CAP, 10, 0, 0, 2, 1);
    }

    function test_redeem_TakesThePayersCallWithTheSettlersRedemption() public {
        bytes memory consent = _redemption(jobId, 10, _payout(node, 10));
        vm.prank(payer);
        escrow.redeem(order, 10, "", _payout(node, 10), consent);
        consent = _redemption(jobId, 30, _payout(node, 20));
        vm.prank(approver);
        escrow.redeem(order, 30, "", _payout(node, 20), consent);
        _checkJob(jobId, CAP, 30, 0, 0, 3, 1);
    }

    function test_redeem_TakesBothSignaturesFromAnyone() public {
        Payout[] memory payouts = _payouts(node, 4, otherNode, 6);
        bytes memory voucher = _voucher(jobId, 10);
        bytes memory consent = _redemption(jobId, 10, payouts);
        vm.prank(stranger);
        escrow.redeem(order, 10, voucher, payouts, consent);
        _checkJob(jobId, CAP, 10, 0, 0, 3, 1);
        _checkAccount(node, 4, 1);
        _checkAccount(otherNode, 6, 1);
    }

    function test_redeem_TakesAContractWalletsWords() public {
        order.settler = address(new OwnedWallet(stranger));
        order.approver = address(new OwnedWallet(vm.addr(7)));
        jobId = _open(order);
        Payout[] memory payouts = _payout(node, 10);
        bytes memory voucher = _sign(7, _digest(Hashes.voucher(jobId, 10)));
        bytes memory consent = _sign(STRANGER_KEY, _digest(_redemptionAct(jobId, 10, payouts)));
        escrow.redeem(order, 10, voucher, payouts, consent);
        _checkJob(jobId, CAP, 10, 0, 0, 2, 1);
    }

    // ---- money ----

    function test_redeem_PaysOutOfCreditFirst() public {
        order.salt = "credit";
        jobId = escrow.jobIdOf(order);
        _issue(payer, 100);
        _nameSettler(settler);
        _open(order);
        _redeem(order, 60, _payout(node, 60));
        _checkCreditShare(jobId, 100);
        escrow.close(order, _closeWord(PAYER_KEY, jobId), _closeWord(SETTLER_KEY, jobId));
        _checkBalances(payer, 0, 40, 4);
        _checkBalances(treasury, CAP - 100, 0, 1);
        _checkJob(jobId, 60, 60, 0, 0, 5, 2);
        _checkCreditShare(jobId, 60);
    }

    function test_redeem_TakesTopUps() public {
        _deposit(payer, 5);
        vm.prank(payer);
        escrow.topUp(jobId, 5);
        _redeem(order, CAP + 5, _payout(node, CAP + 5));
        _checkJob(jobId, CAP + 5, CAP + 5, 0, 0, 3, 1);
    }

    function testFuzz_redeem_PaysExactlyWhatWasSigned(uint96 first, uint96 total, uint96 part)
        public
    {
        total = 2 + total % (CAP - 1);
        first = first % (total - 1);
        uint96 due = total - first;
        part = 1 + part % due;
        if (first != 0) _redeem(order, first, _payout(node, first));
        if (part == due) _redeem(order, total, _payout(node, due));
        else _redeem(order, total, _payouts(node, part, otherNode, due - part));
        (uint96 funded, uint96 released,,,,,,) = escrow.job(jobId);
        vm.assertEq(funded, CAP, "funded");
        vm.assertEq(released, total, "released");
        uint256 paid = _free(node) + _free(otherNode) + _free(fees) + _free(DEAD);
        vm.assertEq(paid, total, "paid");
    }

    // ---- what these have in common ----

    /// With the payer's voucher, by the settler's call.
    function _refuses(uint96 cumulative, Payout[] memory payouts, bytes memory error_) private {
        bytes memory voucher = _voucher(escrow.jobIdOf(order), cumulative);
        vm.prank(settler);
        _fails(error_);
        escrow.redeem(order, cumulative, voucher, payouts, "");
    }

    function _manyPayouts(uint256 count) private pure returns (Payout[] memory payouts) {
        payouts = new Payout[](count);
        for (uint256 i = 0; i < count; ++i) {
            payouts[i] = Payout(address(uint160(0x10000 + i)), 1);
        }
    }

    function _jobNotOpen(bytes32 id, uint8 status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, id, status);
    }

    function _deadlinePassed(uint256 deadline) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_DeadlinePassed.selector, jobId, deadline, block.timestamp
        );
    }

    function _countRefused(uint256 count) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_CountRefused.selector, count, 256);
    }

    function _voucherSpent(uint256 cumulative, uint256 released)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_VoucherSpent.selector, jobId, cumulative, released
        );
    }

    function _fundsTooLow(uint256 needed, uint256 remaining) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_FundsTooLow.selector, jobId, needed, remaining
        );
    }

    function _payoutsWrong(uint256 sum, uint256 due) private view returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PayoutsWrong.selector, jobId, sum, due
            );
    }
}
