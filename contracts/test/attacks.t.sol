// SPDX-License-Identifier: MIT OR Apache-2.0
// Each known attack on a payer, a node, the settler or the escrow, one named test each.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {OwnedWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";

contract AttacksTest is Fixture {
    Order private order;
    bytes32 private jobId;
    uint256 private windowEnd = START + REVIEW;

    function setUp() public override {
        super.setUp();
        (order, jobId) = _opened();
    }

    // ---- replay ----

    function test_SignatureOfAnotherChainIsRefused() public {
        bytes memory here = _sign(PAYER_KEY, _digest(Hashes.closeRequest(jobId)));
        vm.chainId(block.chainid + 1);
        bytes32 there = escrow.jobIdOf(order);
        vm.assertTrue(there != jobId, "another chain, another job");
        _fails(_jobNotOpen(there, 0));
        escrow.requestClose(order, here);
    }

    function test_SignatureForAnotherContractIsRefused() public {
        bytes memory here = _sign(PAYER_KEY, _digest(Hashes.closeRequest(jobId)));
        escrow = new RenderEscrow(address(rndr), issuer, guardian);
        vm.prank(payer);
        rndr.approve(address(escrow), CAP);
        bytes32 there = _open(order);
        vm.assertTrue(there != jobId, "another contract, another job");
        _signatureRefused(Hashes.closeRequest(there), payer, approver);
        escrow.requestClose(order, here);
    }

    function test_SignatureForAnotherJobIsRefused() public {
        bytes memory word = _approval(PAYER_KEY, jobId, _one(_lot(1)));
        order.salt = "second";
        bytes32 second = _open(order);
        _signatureRefused(
            Hashes.approval(second, _lotsHash(second, _one(_lot(1)))), payer, approver
        );
        vm.prank(settler);
        escrow.release(order, _one(_lot(1)), "", word);
    }

    function test_OrderOpensOnceWithItsSignature() public {
        order.salt = "second";
        bytes32 second = escrow.jobIdOf(order);
        _deposit(payer, 2 * CAP);
        bytes memory word = _sign(PAYER_KEY, second);
        escrow.openFor(order, payer, word);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobKnown.selector, second, uint8(1))
        );
        escrow.openFor(order, payer, word);
        vm.assertEq(_free(payer), CAP, "the second cap");
    }

    function test_ReleaseIsNotPaidTwiceWithTheSameSignatures() public {
        Lot[] memory lots = _one(_lot(1));
        bytes memory acceptance = _acceptance(jobId, lots);
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        escrow.release(order, lots, acceptance, approval);
        _fails(_unitsTaken(1));
        escrow.release(order, lots, acceptance, approval);
        _fails(_unitsTaken(1));
        escrow.commit(order, lots, acceptance, approval);
    }

    function test_AcceptanceIsWorthNothingAfterARejection() public {
        Lot[] memory lots = _one(_sealed(1));
        bytes memory acceptance = _acceptance(jobId, lots);
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        escrow.commit(order, lots, acceptance, "");
        vm.prank(payer);
        escrow.reject(order, lots[0], 1, "", "");
        _fails(_lotKnown(lots[0], 1));
        escrow.commit(order, lots, acceptance, approval);
    }

    function test_AcceptanceIsWorthNothingAfterALapse() public {
        Lot[] memory lots = _one(_sealed(1));
        bytes memory acceptance = _acceptance(jobId, lots);
        escrow.commit(order, lots, acceptance, "");
        vm.warp(windowEnd + GRACE);
        escrow.lapse(order, lots[0]);
        _fails(_lotKnown(lots[0], 4));
        escrow.commit(order, lots, acceptance, "");
    }

    function test_RejectionIsNotUsedTwice() public {
        Lot memory lot = _sealed(1);
        bytes memory word = _rejection(PAYER_KEY, jobId, lot, 1, "");
        bytes32 lotHash = _commit(order, lot);
        escrow.reject(order, lot, 1, "", word);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_MaskRefused.selector, lotHash, 1, 0)
        );
        escrow.reject(order, lot, 1, "", word);
    }

    function test_HighSSignatureIsRefused() public {
        bytes32 act = Hashes.closeRequest(jobId);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, _digest(act));
        uint256 n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes memory high = abi.encodePacked(r, n - uint256(s), v == 27 ? uint8(28) : uint8(27));
        _signatureRefused(act, payer, approver);
        escrow.requestClose(order, high);
    }

    function test_64ByteSignatureIsRefused() public {
        bytes32 act = Hashes.closeRequest(jobId);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, _digest(act));
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        _signatureRefused(act, payer, approver);
        escrow.requestClose(order, abi.encodePacked(r, vs));
    }

    function test_SignatureWithATailIsRefused() public {
        bytes32 act = Hashes.closeRequest(jobId);
        bytes memory word = _sign(PAYER_KEY, _digest(act));
        _signatureRefused(act, payer, approver);
        escrow.requestClose(order, bytes.concat(word, hex"00"));
    }

    function test_ZeroApproverIsNotEverybody() public {
        order.approver = address(0);
        order.salt = "no approver";
        jobId = _open(order);
        bytes32 act = Hashes.closeRequest(jobId);
        // A signature that recovers to nobody must not count as the absent approver's.
        bytes memory nobody = abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(29));
        _signatureRefused(act, payer, address(0));
        escrow.requestClose(order, nobody);
    }

    function test_OneActsSignatureIsNoOther() public {
        Lot[] memory lots = _one(_sealed(1));
        bytes32 lotsHash = _lotsHash(jobId, lots);
        bytes32 lotHash = _commit(order, lots[0]);
        bytes memory orderWord = _sign(PAYER_KEY, jobId);
        bytes memory closeWord = _sign(PAYER_KEY, _digest(Hashes.closeRequest(jobId)));
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        _signatureRefused(Hashes.closeRequest(jobId), payer, approver);
        escrow.requestClose(order, orderWord);
        _signatureRefused(Hashes.approval(jobId, lotsHash), payer, approver);
        escrow.approve(order, lots, closeWord);
        _signatureRefused(Hashes.rejection(jobId, lotHash, 1, ""), payer, approver);
        escrow.reject(order, lots[0], 1, "", approval);
    }

    function test_AcceptanceSignedByThePayerIsNoAcceptance() public {
        Lot[] memory lots = _one(_lot(1));
        bytes32 act = Hashes.acceptance(jobId, _lotsHash(jobId, lots));
        bytes memory word = _sign(PAYER_KEY, _digest(act));
        _signatureRefused(act, settler, address(0));
        vm.prank(payer);
        escrow.release(order, lots, word, "");
    }

    // ---- one unit, one payment ----

    function test_UnitIsNotPaidToTwoNodes() public {
        _commit(order, _sealed(1));
        Lot memory rival = _lotOf(otherNode, 0, 1, 0);
        vm.prank(settler);
        _fails(_unitsTaken(1));
        escrow.commit(order, _one(rival), "", "");
        vm.warp(windowEnd);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        vm.prank(settler);
        _fails(_unitsTaken(1));
        escrow.commit(order, _one(rival), "", "");
    }

    function test_MaskAndWordCannotNameAUnitTwice() public {
        // Word 1, bit 0 is unit 256; no other word and bit name it.
        _release(order, _lotOf(node, 1, 1, 0));
        _checkTaken(jobId, 0, 0);
        _checkTaken(jobId, 1, 1);
        _checkTaken(jobId, 2, 0);
    }

    function test_UnitIsPaidOnceInTwoBatchesAndWhenItIsDoneAnew() public {
        _release(order, _lot(3));
        Lot[] memory lots = _two(_lot(4), _lotOf(otherNode, 0, 2, 0));
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        vm.prank(settler);
        _fails(_unitsTaken(2));
        escrow.release(order, lots, "", approval);
        bytes32 first = _commit(order, _sealed(8));
        vm.prank(payer);
        escrow.reject(order, _sealed(8), 8, "", "");
        _commit(order, _lotOf(otherNode, 0, 8, 0));
        vm.warp(windowEnd);
        escrow.settle(order, _one(_lotOf(otherNode, 0, 8, 0)), _keys(0));
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_NothingLeft.selector, first));
        escrow.settle(order, _one(_sealed(8)), _keys(KEY));
        vm.assertEq(_free(otherNode), 0.94 ether, "one payment for the unit");
    }

    // ---- prices and payees ----

    function test_PriceOrCountCannotBeInflatedUnderAnApproval() public {
        order.maxUnitPrice = 2 * PRICE;
        jobId = _open(order);
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(_lot(1)));
        Lot[] memory more = _one(_lot(3));
        Lot[] memory dearer = _one(_lot(1));
        dearer[0].unitPrice = 2 * PRICE;
        vm.startPrank(settler);
        _signatureRefused(Hashes.approval(jobId, _lotsHash(jobId, more)), payer, approver);
        escrow.release(order, more, "", approval);
        _signatureRefused(Hashes.approval(jobId, _lotsHash(jobId, dearer)), payer, approver);
        escrow.release(order, dearer, "", approval);
    }

    function test_PayeeCannotBeSwappedUnderBothSignatures() public {
        Lot[] memory lots = _one(_lot(1));
        bytes memory acceptance = _acceptance(jobId, lots);
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        lots[0].node = stranger;
        _signatureRefused(Hashes.acceptance(jobId, _lotsHash(jobId, lots)), settler, address(0));
        vm.prank(stranger);
        escrow.release(order, lots, acceptance, approval);
    }

    function test_PayeeCannotBeSwappedInSettle() public {
        _commit(order, _sealed(1));
        vm.warp(windowEnd);
        Lot memory swapped = _sealed(1);
        swapped.node = stranger;
        bytes32 lotHash = escrow.lotHashOf(jobId, swapped);
        vm.prank(stranger);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotUnknown.selector, lotHash));
        escrow.settle(order, _one(swapped), _keys(KEY));
    }

    function test_OverWideFieldsOfCalldataMakeNoSecondLotOrJob() public {
        _commit(order, _sealed(1));
        vm.warp(windowEnd);
        bytes memory data = abi.encodeCall(escrow.settle, (order, _one(_sealed(1)), _keys(KEY)));
        // The node of the lot: selector, 17 words of the order, 2 offsets, then length and lot.
        uint256 place = 4 + 17 * 32 + 2 * 32 + 32;
        vm.assertEq(uint8(data[place + 31]), uint8(uint160(node)), "where the node stands");
        data[place] = 0x01;
        (bool done,) = address(escrow).call(data);
        vm.assertTrue(!done, "an over-wide node");
        data[place] = 0;
        data[4] = 0x01; // the payer of the order
        (done,) = address(escrow).call(data);
        vm.assertTrue(!done, "an over-wide payer");
        data[4] = 0;
        (done,) = address(escrow).call(data);
        vm.assertTrue(done, "the same call, clean");
    }

    function test_OverWideOrderCannotBeOpened() public {
        order.salt = "over-wide";
        _fund(stranger);
        bytes memory data = abi.encodeCall(escrow.open, (order));
        for (uint256 field = 0; field < 14; ++field) {
            data[4 + field * 32] = 0x01;
            vm.prank(stranger);
            (bool done,) = address(escrow).call(data);
            vm.assertTrue(!done, "an over-wide field");
            data[4 + field * 32] = 0;
        }
        vm.prank(stranger);
        (bool clean,) = address(escrow).call(data);
        vm.assertTrue(clean, "the same call, clean");
    }

    // ---- the payer against the node ----

    function test_PayerCannotDrainItsJobWhileWorkRuns() public {
        vm.startPrank(payer);
        // It approves a lot of its own making: the settler's consent is missing.
        _callerRefused(payer, settler, address(0));
        escrow.commit(order, _one(_lot(1)), "", "");
        _callerRefused(payer, settler, address(0));
        escrow.release(order, _one(_lot(1)), "", "");
        // It asks to close: the job still takes finished work for the whole grace.
        escrow.requestClose(order, "");
        _fails(_tooEarly(jobId, START + GRACE));
        escrow.close(order, "", "");
        vm.stopPrank();
        // It names itself for what returns: those terms are another job's, which nobody opened.
        order.refundTo = payer;
        _fails(_jobNotOpen(escrow.jobIdOf(order), 0));
        escrow.close(order, "", "");
        order.refundTo = treasury;
        vm.warp(START + GRACE - 1);
        _commit(order, _sealed(1));
        vm.warp(START + GRACE);
        escrow.close(order, "", "");
        vm.warp(START + GRACE - 1 + REVIEW);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        vm.assertEq(_free(node), 0.94 ether, "the node's pay");
    }

    function test_PayerWhoNeverApprovesPaysAfterTheWindow() public {
        _commit(order, _sealed(1));
        vm.warp(windowEnd);
        vm.prank(node);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        vm.assertEq(_free(node), 0.94 ether, "the node's pay");
    }

    function test_PayerWhoRejectsAllGetsNoKey() public {
        bytes32 lotHash = _commit(order, _sealed(7));
        vm.prank(payer);
        escrow.reject(order, _sealed(7), 7, "", "");
        vm.warp(windowEnd);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_NothingLeft.selector, lotHash));
        escrow.settle(order, _one(_sealed(7)), _keys(KEY));
    }

    function test_SealedLotIsNotReleasedSoThatItsKeyNeverRunsAheadOfThePay() public {
        Lot[] memory lots = _one(_sealed(1));
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        bytes32 lotHash = escrow.lotHashOf(jobId, lots[0]);
        vm.prank(settler);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotSealed.selector, lotHash));
        escrow.release(order, lots, "", approval);
    }

    /// Whoever saw the key in the mempool tries all that could make the paying call fail.
    function test_KeySeenInTheMempoolCannotMakeTheSettleFail() public {
        Lot[] memory lots = _one(_sealed(1));
        Lot[] memory others = _one(_lotOf(otherNode, 0, 1, 0));
        bytes memory acceptance = _acceptance(jobId, lots);
        bytes memory another = _acceptance(jobId, others);
        bytes32 lotHash = _commit(order, lots[0]);
        vm.warp(windowEnd);
        vm.startPrank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_WindowPassed.selector, lotHash, windowEnd, windowEnd
            )
        );
        escrow.reject(order, lots[0], 1, "", "");
        escrow.requestClose(order, "");
        _fails(_tooEarly(jobId, windowEnd + GRACE));
        escrow.close(order, "", "");
        _fails(_lotKnown(lots[0], 1));
        escrow.commit(order, lots, acceptance, "");
        _fails(_unitsTaken(1));
        escrow.release(order, others, another, "");
        _fails(_tooEarly(lotHash, windowEnd + GRACE));
        escrow.lapse(order, lots[0]);
        vm.stopPrank();
        vm.warp(order.workDeadline + order.claimGrace);
        escrow.close(order, "", "");
        escrow.settle(order, lots, _keys(KEY));
        vm.assertEq(_free(node), 0.94 ether, "the node's pay");
    }

    function test_RevokedWalletCannotTakeBackAnApprovalThatWasMined() public {
        OwnedWallet wallet = new OwnedWallet(stranger);
        order.payer = address(wallet);
        order.approver = address(0);
        _deposit(payer, CAP);
        vm.prank(payer);
        jobId = escrow.open(order);
        _commit(order, _sealed(1));
        escrow.approve(order, _one(_sealed(1)), _approval(STRANGER_KEY, jobId, _one(_sealed(1))));
        wallet.setOwner(address(0));
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        vm.assertEq(_free(node), 0.94 ether, "the node's pay");
    }

    // ---- the node against the payer ----

    function test_NodeThatAbandonsCostsThePayerNothing() public {
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        vm.prank(stranger);
        escrow.close(order, "", "");
        vm.assertEq(_free(treasury), CAP, "all of it");
    }

    function test_NodeThatNeverRevealsIsNotPaid() public {
        _commit(order, _sealed(7));
        vm.warp(windowEnd + GRACE);
        vm.prank(stranger);
        escrow.lapse(order, _sealed(7));
        vm.assertEq(_free(node), 0, "the node's pay");
        _checkTaken(jobId, 0, 0);
    }

    function test_NodeCannotPayItselfWithoutTheSettler() public {
        vm.prank(node);
        _callerRefused(node, settler, address(0));
        escrow.commit(order, _one(_lot(1)), "", "");
    }

    // ---- dates ----

    function test_CommitInTheLastSecondKeepsItsWindowAfterTheEnd() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        _commit(order, _sealed(1));
        vm.warp(end);
        escrow.close(order, "", "");
        vm.prank(payer);
        escrow.reject(order, _sealed(1), 1, "", "");
        vm.assertEq(_free(treasury), CAP, "all of it, the rejected unit's too");
    }

    function test_EarlyApprovalRushesNoLapse() public {
        bytes32 lotHash = _commit(order, _sealed(1));
        vm.prank(payer);
        escrow.approve(order, _one(_sealed(1)), "");
        vm.warp(START + GRACE);
        vm.prank(payer);
        _fails(_tooEarly(lotHash, windowEnd + GRACE));
        escrow.lapse(order, _sealed(1));
    }

    function test_SettleRejectAndCloseShareTheBoundarySecondsWithoutOverlap() public {
        order.claimGrace = uint40(REVIEW);
        order.workDeadline = order.openBy;
        jobId = _open(order);
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        // Committed so that the window ends in the very second in which the job does.
        vm.warp(order.workDeadline);
        _commit(order, _sealed(1));
        uint256 before = vm.snapshotState();
        for (uint256 i = 0; i < 3; ++i) {
            uint256 time = end - 1 + i;
            vm.warp(time);
            vm.assertTrue(
                _can(abi.encodeCall(escrow.close, (order, "", ""))) == (time >= end), "close"
            );
            vm.assertTrue(
                _can(abi.encodeCall(escrow.reject, (order, _sealed(1), 1, "", "")))
                    == (time < end),
                "reject"
            );
            vm.assertTrue(
                _can(abi.encodeCall(escrow.settle, (order, _one(_sealed(1)), _keys(KEY))))
                    == (time >= end),
                "settle"
            );
            vm.revertToState(before);
            before = vm.snapshotState();
        }
    }

    // ---- a stolen settler key ----

    function test_StolenSettlerKeyOnlyMakesProposalsThatCanBeRejected() public {
        vm.startPrank(settler);
        _callerRefused(settler, payer, approver);
        escrow.release(order, _one(_lot(1)), "", "");
        Lot memory theft = _lotOf(settler, 0, type(uint256).max, 0);
        escrow.commit(order, _one(theft), "", "");
        _fails(_tooEarly(_lotHash(theft), windowEnd));
        escrow.settle(order, _one(theft), _keys(0));
        vm.stopPrank();
        vm.warp(windowEnd - 1);
        vm.prank(approver);
        escrow.reject(order, theft, type(uint256).max, "", "");
        _checkJob(jobId, CAP, 0, 0, 0, 3, 1);
        vm.assertEq(_free(settler), 0, "the thief's pay");
    }

    function test_SilentSettlerCannotKeepMoneyOrPay() public {
        // Its signed acceptance pays the node; the rest goes back at the end.
        bytes memory acceptance = _acceptance(jobId, _one(_sealed(1)));
        vm.prank(node);
        escrow.commit(order, _one(_sealed(1)), acceptance, "");
        vm.warp(windowEnd);
        vm.prank(node);
        escrow.settle(order, _one(_sealed(1)), _keys(KEY));
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        vm.prank(payer);
        escrow.close(order, "", "");
        vm.assertEq(_free(node) + _free(fees) + _free(DEAD), PRICE, "paid");
        vm.assertEq(_free(treasury), CAP - PRICE, "returned");
    }

    // ---- others' money ----

    function test_NobodyPullsSomebodyElsesAllowance() public {
        // The payer's allowance is without limit; only its own calls may use it.
        vm.startPrank(stranger);
        order.salt = "other";
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector, stranger, CAP, 0, 0
            )
        );
        escrow.open(order);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector, stranger, 1, 0, 0
            )
        );
        escrow.depositFor(stranger, 1);
    }

    function test_DonationIsNobodysAndStopsNothing() public {
        rndr.mint(address(escrow), 5 ether);
        _release(order, _lot(1));
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        escrow.close(order, "", "");
        uint96 back = uint96(_free(treasury));
        vm.prank(treasury);
        escrow.withdraw(back, treasury);
        uint256 owed = _free(node) + _free(fees) + _free(DEAD);
        vm.assertEq(rndr.balanceOf(address(escrow)), owed + 5 ether, "the surplus stays");
    }

    function test_256LotsOf256UnitsFitIntoABlock() public {
        order.units = 256 * 256;
        order.cap = type(uint96).max / 4;
        order.maxUnitPrice = 1;
        rndr.mint(payer, order.cap);
        jobId = _open(order);
        Lot[] memory lots = new Lot[](256);
        for (uint256 i = 0; i < 256; ++i) {
            lots[i] = _lotOf(address(uint160(0x10000 + i)), uint32(i), type(uint256).max, 0);
            lots[i].unitPrice = 1;
        }
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        uint256 before = gasleft();
        vm.prank(settler);
        escrow.release(order, lots, "", approval);
        vm.assertLe(before - gasleft(), 25_000_000, "gas of the longest call");
        _checkJob(jobId, order.cap, 65_536, 0, 65_536, 257, 1);
    }

    // ---- what the attacks have in common ----

    /// Whether the payer's side can do this now; the state is put back by the caller.
    function _can(bytes memory data) private returns (bool done) {
        uint256 before = vm.snapshotState();
        vm.prank(payer);
        (done,) = address(escrow).call(data);
        vm.revertToState(before);
    }

    function _lotHash(Lot memory lot) private view returns (bytes32) {
        return keccak256(abi.encode(Hashes.LOT, jobId, lot));
    }

    function _jobNotOpen(bytes32 id, uint8 status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, id, status);
    }

    function _unitsTaken(uint256 mask) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_UnitsTaken.selector, jobId, uint32(0), mask
        );
    }

    function _lotKnown(Lot memory lot, uint8 status) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_LotKnown.selector, _lotHash(lot), status
        );
    }

    function _tooEarly(bytes32 id, uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_TooEarly.selector, id, from, block.timestamp
        );
    }
}
