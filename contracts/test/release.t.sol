// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of release, and what release and commit refuse alike.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract ReleaseTest is Fixture {
    Order private order;
    bytes32 private jobId;

    function setUp() public override {
        super.setUp();
        (order, jobId) = _opened();
    }

    // ---- job and consents ----

    function test_release_RefusesAnUnknownJob() public {
        order.salt = "other";
        _refuses(_one(_lot(1)), _jobNotOpen(escrow.jobIdOf(order), 0));
    }

    function test_release_RefusesAClosedJob() public {
        vm.warp(order.workDeadline + order.claimGrace);
        escrow.close(order, "", "");
        _refuses(_one(_lot(1)), _jobNotOpen(jobId, 2));
    }

    function test_release_RefusesFromTheJobsEndOn() public {
        uint256 end = uint256(order.workDeadline) + order.claimGrace;
        vm.warp(end - 1);
        _send(_one(_lot(1)));
        vm.warp(end);
        _refuses(
            _one(_lot(2)),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DeadlinePassed.selector, jobId, end, end
            )
        );
    }

    function test_release_RefusesFromTheEndThatACloseRequestSetOn() public {
        vm.prank(payer);
        escrow.requestClose(order, "");
        uint256 end = START + order.claimGrace;
        vm.warp(end - 1);
        _send(_one(_lot(1)));
        vm.warp(end);
        _refuses(
            _one(_lot(2)),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DeadlinePassed.selector, jobId, end, end
            )
        );
    }

    function test_release_RefusesNoLots() public {
        _refuses(
            new Lot[](0),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_CountRefused.selector, 0, 256)
        );
    }

    function test_release_RefusesMoreThan256Lots() public {
        _refuses(
            new Lot[](257),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_CountRefused.selector, 257, 256)
        );
    }

    function test_release_RefusesACallerWhoIsNotTheSettlerWithoutAcceptance() public {
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(_lot(1)));
        vm.prank(stranger);
        _callerRefused(stranger, settler, address(0));
        escrow.release(order, _one(_lot(1)), "", approval);
    }

    function test_release_RefusesAnAcceptanceOfOtherLots() public {
        bytes memory acceptance = _acceptance(jobId, _one(_lot(2)));
        bytes32 lotsHash = _lotsHash(jobId, _one(_lot(1)));
        _signatureRefused(Hashes.acceptance(jobId, lotsHash), settler, address(0));
        vm.prank(payer);
        escrow.release(order, _one(_lot(1)), acceptance, "");
    }

    function test_release_RefusesASettlerWithoutApproval() public {
        vm.prank(settler);
        _callerRefused(settler, payer, approver);
        escrow.release(order, _one(_lot(1)), "", "");
    }

    function test_release_RefusesAStrangersApproval() public {
        bytes memory approval = _approval(STRANGER_KEY, jobId, _one(_lot(1)));
        bytes32 lotsHash = _lotsHash(jobId, _one(_lot(1)));
        _signatureRefused(Hashes.approval(jobId, lotsHash), payer, approver);
        vm.prank(settler);
        escrow.release(order, _one(_lot(1)), "", approval);
    }

    // ---- lots ----

    function test_release_RefusesASealedLot() public {
        Lot memory lot = _sealed(1);
        bytes32 lotHash = escrow.lotHashOf(jobId, lot);
        _refuses(
            _one(lot),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotSealed.selector, lotHash)
        );
    }

    function test_release_RefusesALotThatWasEverCommitted() public {
        Lot memory lot = _lot(1);
        bytes32 lotHash = _commit(order, lot);
        _refuses(_one(lot), _lotKnown(lotHash, 1));
        vm.prank(payer);
        escrow.reject(order, lot, 1, "", "");
        _refuses(_one(lot), _lotKnown(lotHash, 1));
    }

    function test_release_RefusesAZeroOrOwnNode() public {
        Lot memory lot = _lot(1);
        lot.node = address(0);
        _refuses(
            _one(lot),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, address(0))
        );
        lot.node = address(escrow);
        _refuses(
            _one(lot),
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, escrow)
        );
    }

    function test_release_RefusesAUnitPriceAboveTheOrders() public {
        Lot memory lot = _lot(1);
        lot.unitPrice = PRICE + 1;
        _refuses(
            _one(lot),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_UnitPriceTooHigh.selector, jobId, PRICE + 1, PRICE
            )
        );
    }

    function test_release_RefusesAnEmptyMask() public {
        _refuses(_one(_lot(0)), _unitsUnknown(0, 0));
    }

    function test_release_RefusesUnitsBeyondTheOrders() public {
        // 300 units: word 1 has bits 0 to 43, word 2 none.
        _refuses(_one(_lotOf(node, 1, 1 << 44, 0)), _unitsUnknown(1, 1 << 44));
        _refuses(_one(_lotOf(node, 1, 1 << 255, 0)), _unitsUnknown(1, 1 << 255));
        _refuses(_one(_lotOf(node, 2, 1, 0)), _unitsUnknown(2, 1));
        _refuses(_one(_lotOf(node, type(uint32).max, 1, 0)), _unitsUnknown(type(uint32).max, 1));
        _send(_one(_lotOf(node, 1, 1 << 43, 0)));
    }

    function test_release_RefusesUnitsThatWerePaid() public {
        _send(_one(_lot(6)));
        _refuses(
            _one(_lotOf(otherNode, 0, 12, 0)),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_UnitsTaken.selector, jobId, uint32(0), 4
            )
        );
    }

    function test_release_RefusesUnitsThatAreReserved() public {
        _commit(order, _sealed(6));
        _refuses(
            _one(_lot(7)),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_UnitsTaken.selector, jobId, uint32(0), 6
            )
        );
    }

    function test_release_RefusesAUnitTwiceInOneCall() public {
        _refuses(
            _two(_lot(3), _lotOf(otherNode, 0, 2, 0)),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_UnitsTaken.selector, jobId, uint32(0), 2
            )
        );
    }

    function test_release_RefusesMoreThanTheJobHolds() public {
        order.cap = 10 ether;
        jobId = _open(order);
        _commit(order, _sealed(0xf));
        _release(order, _lot(0x30));
        _refuses(
            _one(_lot(0x1f00)),
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_FundsTooLow.selector, jobId, 5 ether, 4 ether
            )
        );
        _send(_one(_lot(0xf00)));
        _checkJob(jobId, 10 ether, 6 ether, 4 ether, 6, 4, 1);
    }

    // ---- paying ----

    function test_release_PaysNodeFeeAndBurn() public {
        Lot memory lot = _lot(0x3ff);
        bytes32 lotHash = escrow.lotHashOf(jobId, lot);
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(lot));
        vm.recordLogs();
        vm.prank(settler);
        _emits();
        emit IRenderEscrow.Released(
            jobId, node, lotHash, lot, 10 ether, 0.5 ether, 0.1 ether, 10 ether, 2, 9.4 ether, 1
        );
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 0.5 ether, 0.5 ether, 1);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 0.1 ether, 0.1 ether, 1);
        escrow.release(order, _one(lot), "", approval);
        _checkEventCount(3);
        _checkJob(jobId, CAP, 10 ether, 0, 10, 2, 1);
        _checkAccount(node, 9.4 ether, 1);
        _checkAccount(fees, 0.5 ether, 1);
        _checkAccount(DEAD, 0.1 ether, 1);
        _checkTaken(jobId, 0, 0x3ff);
        _checkLot(lotHash, 0, 0, 0);
    }

    function test_release_SumsSharesOverTheLotsOfACall() public {
        Lot[] memory lots = _two(_lot(1), _lotOf(otherNode, 1, 7, 0));
        bytes memory approval = _approval(APPROVER_KEY, jobId, lots);
        bytes32 first = escrow.lotHashOf(jobId, lots[0]);
        bytes32 second = escrow.lotHashOf(jobId, lots[1]);
        vm.recordLogs();
        vm.prank(settler);
        _emits();
        emit IRenderEscrow.Released(
            jobId, node, first, lots[0], 1 ether, 0.05 ether, 0.01 ether, 1 ether, 2, 0.94 ether, 1
        );
        _emitsReleased(lots[1], second, 3 ether, 4 ether, 3);
        _emits();
        emit IRenderEscrow.FeeCredited(jobId, fees, 0.2 ether, 0.2 ether, 1);
        _emits();
        emit IRenderEscrow.BurnCredited(jobId, 0.04 ether, 0.04 ether, 1);
        escrow.release(order, lots, "", approval);
        _checkEventCount(4);
        _checkJob(jobId, CAP, 4 ether, 0, 4, 3, 1);
        _checkTaken(jobId, 0, 1);
        _checkTaken(jobId, 1, 7);
    }

    function test_release_CreditsNoSharesOfZero() public {
        order.feeBps = 0;
        order.burnBps = 0;
        jobId = _open(order);
        vm.recordLogs();
        _release(order, _lot(1));
        _checkEventCount(1);
        _checkAccount(node, 1 ether, 1);
        _checkAccount(fees, 0, 0);
        _checkAccount(DEAD, 0, 0);
    }

    function test_release_RoundsSharesDownPerLot() public {
        Lot memory lot = _lot(1);
        lot.unitPrice = 199;
        _release(order, lot);
        _checkAccount(fees, 9, 1); // 199 * 5 % = 9.95
        _checkAccount(DEAD, 1, 1); // 199 * 1 % = 1.99
        _checkAccount(node, 189, 1);
    }

    function test_release_TakesThePayersCallWithTheSettlersAcceptance() public {
        bytes memory acceptance = _acceptance(jobId, _one(_lot(1)));
        vm.prank(payer);
        escrow.release(order, _one(_lot(1)), acceptance, "");
        _checkAccount(node, 0.94 ether, 1);
    }

    function test_release_TakesTheApproversCallWithTheSettlersAcceptance() public {
        bytes memory acceptance = _acceptance(jobId, _one(_lot(1)));
        vm.prank(approver);
        escrow.release(order, _one(_lot(1)), acceptance, "");
        _checkAccount(node, 0.94 ether, 1);
    }

    function test_release_TakesBothSignaturesFromAnyone() public {
        bytes memory acceptance = _acceptance(jobId, _one(_lot(1)));
        bytes memory approval = _approval(APPROVER_KEY, jobId, _one(_lot(1)));
        vm.prank(stranger);
        escrow.release(order, _one(_lot(1)), acceptance, approval);
        _checkAccount(node, 0.94 ether, 1);
    }

    function testFuzz_release_SplitsExactly(
        uint256 mask,
        uint96 unitPrice,
        uint16 feeBps,
        uint16 burnBps
    ) public {
        order.units = 256;
        order.maxUnitPrice = type(uint96).max / 256;
        order.cap = type(uint96).max;
        order.feeBps = feeBps % 1001;
        order.burnBps = burnBps % (10_001 - order.feeBps);
        vm.assume(mask != 0);
        _escrowAnew(order.cap);
        jobId = _open(order);
        Lot memory lot = _lot(mask);
        lot.unitPrice = unitPrice % (order.maxUnitPrice + 1);
        _release(order, lot);
        uint256 amount = _bits(mask) * lot.unitPrice;
        uint256 fee = amount * order.feeBps / 10_000;
        uint256 burnt = amount * order.burnBps / 10_000;
        _checkJob(jobId, order.cap, amount, 0, _bits(mask), 2, 1);
        _checkAccount(node, amount - fee - burnt, 1);
        _checkAccount(fees, fee, fee == 0 ? 0 : 1);
        _checkAccount(DEAD, burnt, burnt == 0 ? 0 : 1);
    }

    /// A first payment to the lot's node: 5 % fee, 1 % burnt, the rest is all that it has.
    function _emitsReleased(
        Lot memory lot,
        bytes32 lotHash,
        uint96 amount,
        uint96 released,
        uint32 seq
    ) private {
        uint96 fee = amount / 20;
        uint96 burnt = amount / 100;
        uint96 rest = amount - fee - burnt;
        _emits();
        emit IRenderEscrow.Released(
            jobId, lot.node, lotHash, lot, amount, fee, burnt, released, seq, rest, 1
        );
    }

    /// Bits counted one by one, beside the contract's way.
    function _bits(uint256 mask) private pure returns (uint256 count) {
        for (; mask != 0; mask >>= 1) {
            count += mask & 1;
        }
    }

    /// A fresh escrow, for amounts that leave no room for another job.
    function _escrowAnew(uint256 amount) private {
        escrow = new RenderEscrow(address(rndr), issuer, guardian);
        rndr.mint(payer, amount);
        vm.prank(payer);
        rndr.approve(address(escrow), amount);
    }

    function _send(Lot[] memory lots) private {
        bytes memory approval = _approval(PAYER_KEY, escrow.jobIdOf(order), lots);
        vm.prank(settler);
        escrow.release(order, lots, "", approval);
    }

    function _refuses(Lot[] memory lots, bytes memory error_) private {
        bytes memory approval = _approval(PAYER_KEY, escrow.jobIdOf(order), lots);
        vm.prank(settler);
        _fails(error_);
        escrow.release(order, lots, "", approval);
    }

    function _jobNotOpen(bytes32 id, uint8 status) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobNotOpen.selector, id, status);
    }

    function _lotKnown(bytes32 lotHash, uint8 status) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_LotKnown.selector, lotHash, status);
    }

    function _unitsUnknown(uint32 word, uint256 mask) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_UnitsUnknown.selector, jobId, word, mask, order.units
        );
    }
}
