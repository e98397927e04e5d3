// SPDX-License-Identifier: MIT OR Apache-2.0
// Attacks on vouchers, redemptions and agreements to close, one named test each.
pragma solidity 0.8.37;

import {Hashes, Order, Payout} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract VoucherAttacksTest is Fixture {
    Order private order;
    bytes32 private jobId;

    function setUp() public override {
        super.setUp();
        order = _voucherOrder();
        jobId = _open(order);
    }

    // ---- replay ----

    function test_VoucherForAnotherJobIsRefused() public {
        bytes memory voucher = _voucher(jobId, 100);
        order.salt = "second";
        bytes32 second = _open(order);
        vm.prank(settler);
        _signatureRefused(Hashes.voucher(second, 100), payer, approver);
        escrow.redeem(order, 100, voucher, _payout(node, 100), "");
    }

    function test_VoucherOfAnotherChainIsRefused() public {
        bytes memory voucher = _voucher(jobId, 100);
        bytes memory consent = _redemption(jobId, 100, _payout(node, 100));
        vm.chainId(block.chainid + 1);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_JobNotOpen.selector, escrow.jobIdOf(order), uint8(0)
            )
        );
        escrow.redeem(order, 100, voucher, _payout(node, 100), consent);
    }

    function test_VoucherForAnotherContractIsRefused() public {
        bytes memory voucher = _voucher(jobId, 100);
        escrow = new RenderEscrow(address(rndr), issuer, guardian);
        vm.prank(payer);
        rndr.approve(address(escrow), CAP);
        bytes32 there = _open(order);
        _signatureRefused(Hashes.voucher(there, 100), payer, approver);
        escrow.redeem(order, 100, voucher, _payout(node, 100), "");
    }

    function test_VoucherIsRedeemedOnce() public {
        bytes memory voucher = _voucher(jobId, 100);
        bytes memory consent = _redemption(jobId, 100, _payout(node, 100));
        escrow.redeem(order, 100, voucher, _payout(node, 100), consent);
        _fails(_voucherSpent(100, 100));
        escrow.redeem(order, 100, voucher, _payout(node, 100), consent);
        vm.assertEq(_free(node), 94, "the node's pay");
    }

    function test_OlderVoucherIsWorthNothingAfterANewerOne() public {
        bytes memory older = _voucher(jobId, 100);
        bytes memory consent = _redemption(jobId, 100, _payout(node, 100));
        _redeem(order, 101, _payout(node, 101));
        _fails(_voucherSpent(100, 101));
        escrow.redeem(order, 100, older, _payout(node, 100), consent);
    }

    function test_RedemptionForAnotherJobIsRefused() public {
        bytes memory consent = _redemption(jobId, 100, _payout(node, 100));
        order.salt = "second";
        bytes32 second = _open(order);
        bytes memory voucher = _voucher(second, 100);
        _signatureRefused(_redemptionAct(second, 100, _payout(node, 100)), settler, address(0));
        escrow.redeem(order, 100, voucher, _payout(node, 100), consent);
    }

    // ---- payees ----

    function test_PayeeCannotBeSwappedInARedemptionSeenInTheMempool() public {
        bytes memory voucher = _voucher(jobId, 100);
        bytes memory consent = _redemption(jobId, 100, _payout(node, 100));
        Payout[] memory swapped = _payout(stranger, 100);
        _signatureRefused(_redemptionAct(jobId, 100, swapped), settler, address(0));
        escrow.redeem(order, 100, voucher, swapped, consent);
        Payout[] memory moved = _payouts(node, 1, stranger, 99);
        _signatureRefused(_redemptionAct(jobId, 100, moved), settler, address(0));
        escrow.redeem(order, 100, voucher, moved, consent);
        vm.prank(stranger);
        escrow.redeem(order, 100, voucher, _payout(node, 100), consent);
        vm.assertEq(_free(node), 94, "whoever sends it");
    }

    function test_PayerCannotDrainItsJobByAVoucherToItself() public {
        vm.startPrank(payer);
        _callerRefused(payer, settler, address(0));
        escrow.redeem(order, CAP, "", _payout(payer, CAP), "");
        bytes32 act = _redemptionAct(jobId, CAP, _payout(payer, CAP));
        bytes memory own = _sign(PAYER_KEY, _digest(act));
        _signatureRefused(act, settler, address(0));
        escrow.redeem(order, CAP, "", _payout(payer, CAP), own);
    }

    /// The worst that a stolen settler key does to a job of calls: what was signed, not redeemed.
    function test_StolenSettlerKeyMisdirectsOnlySignedUnredeemedVouchers() public {
        bytes memory voucher = _voucher(jobId, 100);
        _redeem(order, 60, _payout(node, 60));
        vm.startPrank(settler);
        bytes memory more = _sign(SETTLER_KEY, _digest(Hashes.voucher(jobId, 101)));
        _signatureRefused(Hashes.voucher(jobId, 101), payer, approver);
        escrow.redeem(order, 101, more, _payout(settler, 41), "");
        _fails(_payoutsWrong(41, 40));
        escrow.redeem(order, 100, voucher, _payout(settler, 41), "");
        escrow.redeem(order, 100, voucher, _payout(settler, 40), "");
        _fails(_voucherSpent(100, 100));
        escrow.redeem(order, 100, voucher, _payout(settler, 40), "");
        vm.stopPrank();
        vm.assertEq(_free(settler), 38, "40 less the shares");
        _checkJob(jobId, CAP, 100, 0, 0, 3, 1);
    }

    // ---- one act for another ----

    function test_VoucherIsNoOtherActAndNoOtherActIsAVoucher() public {
        bytes memory voucher = _voucher(jobId, 100);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        _signatureRefused(Hashes.close(jobId), payer, approver);
        escrow.close(order, voucher, settlers);
        _signatureRefused(Hashes.closeRequest(jobId), payer, approver);
        escrow.requestClose(order, voucher);
        bytes memory consent = _redemption(jobId, 100, _payout(node, 100));
        bytes[3] memory others = [
            _sign(PAYER_KEY, jobId),
            _closeWord(PAYER_KEY, jobId),
            _sign(PAYER_KEY, _digest(_redemptionAct(jobId, 100, _payout(node, 100))))
        ];
        for (uint256 i = 0; i < 3; ++i) {
            _signatureRefused(Hashes.voucher(jobId, 100), payer, approver);
            escrow.redeem(order, 100, others[i], _payout(node, 100), consent);
        }
        _signatureRefused(_redemptionAct(jobId, 100, _payout(node, 100)), settler, address(0));
        escrow.redeem(order, 100, voucher, _payout(node, 100), settlers);
    }

    function test_CallsAndUnitsAreNeverPaidInOneJob() public {
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(_lot(1)));
        vm.prank(settler);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_UnitPriceTooHigh.selector, jobId, PRICE, 0
            )
        );
        escrow.release(order, _one(_lot(1)), "", approval);
        order = _order();
        jobId = _open(order);
        bytes memory voucher = _voucher(jobId, 100);
        vm.prank(settler);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_JobTakesNoVouchers.selector, jobId, uint32(300)
            )
        );
        escrow.redeem(order, 100, voucher, _payout(node, 100), "");
    }

    // ---- endings ----

    function test_PayerWhoAsksToCloseKeepsNoSignedVoucherFromBeingPaid() public {
        bytes memory voucher = _voucher(jobId, 100);
        vm.startPrank(payer);
        escrow.requestClose(order, "");
        _fails(_tooEarly(START + GRACE));
        escrow.close(order, "", "");
        vm.stopPrank();
        vm.warp(START + GRACE - 1);
        vm.prank(settler);
        escrow.redeem(order, 100, voucher, _payout(node, 100), "");
        vm.assertEq(_free(node), 94, "the node's pay");
    }

    function test_VoucherAfterTheEndIsWorthNothing() public {
        bytes memory voucher = _voucher(jobId, 100);
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end);
        vm.prank(settler);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DeadlinePassed.selector, jobId, end, end
            )
        );
        escrow.redeem(order, 100, voucher, _payout(node, 100), "");
        escrow.close(order, "", "");
        vm.assertEq(_free(treasury), CAP, "all of it");
    }

    function test_CloseAgreementIsUsedOnceAndForOneJob() public {
        bytes memory payers = _closeWord(PAYER_KEY, jobId);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        escrow.close(order, payers, settlers);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, jobId, uint8(2))
        );
        escrow.close(order, payers, settlers);
        order.salt = "second";
        bytes32 second = _open(order);
        _signatureRefused(Hashes.close(second), payer, approver);
        escrow.close(order, payers, settlers);
        vm.assertEq(_free(treasury), CAP, "the first job's money");
    }

    function test_CloseAgreementOfAnotherChainOrContractIsRefused() public {
        bytes memory payers = _closeWord(PAYER_KEY, jobId);
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_JobNotOpen.selector, escrow.jobIdOf(order), uint8(0)
            )
        );
        escrow.close(order, payers, settlers);
        vm.chainId(here);
        escrow = new RenderEscrow(address(rndr), issuer, guardian);
        vm.prank(payer);
        rndr.approve(address(escrow), CAP);
        bytes32 there = _open(order);
        _signatureRefused(Hashes.close(there), payer, approver);
        escrow.close(order, payers, settlers);
    }

    function test_OrderOrCloseRequestIsNoAgreementToClose() public {
        bytes memory settlers = _closeWord(SETTLER_KEY, jobId);
        bytes memory orderWord = _sign(PAYER_KEY, jobId);
        bytes memory request = _sign(PAYER_KEY, _digest(Hashes.closeRequest(jobId)));
        vm.startPrank(settler);
        _signatureRefused(Hashes.close(jobId), payer, approver);
        escrow.close(order, orderWord, settlers);
        _signatureRefused(Hashes.close(jobId), payer, approver);
        escrow.close(order, request, "");
        vm.stopPrank();
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
    }

    function test_256PayoutsFitIntoABlock() public {
        Payout[] memory payouts = new Payout[](256);
        for (uint256 i = 0; i < 256; ++i) {
            payouts[i] = Payout(address(uint160(0x10000 + i)), 100);
        }
        bytes memory voucher = _voucher(jobId, 25_600);
        vm.prank(settler);
        uint256 before = gasleft();
        escrow.redeem(order, 25_600, voucher, payouts, "");
        vm.assertLe(before - gasleft(), 25_000_000, "gas of the longest call");
        _checkJob(jobId, CAP, 25_600, 0, 0, 257, 1);
    }

    // ---- what the attacks have in common ----

    function _voucherSpent(uint256 cumulative, uint256 released)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_VoucherSpent.selector, jobId, cumulative, released
        );
    }

    function _payoutsWrong(uint256 sum, uint256 due) private view returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PayoutsWrong.selector, jobId, sum, due
            );
    }

    function _tooEarly(uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_TooEarly.selector, jobId, from, block.timestamp
        );
    }
}
