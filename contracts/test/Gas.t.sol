// SPDX-License-Identifier: MIT OR Apache-2.0
// Gas of the main paths as whole transactions, each with the most it may take.
pragma solidity 0.8.37;

import {Lot, Order, Payout} from "../src/Order.sol";
import {Fixture} from "./Fixture.sol";
import {PushEscrow} from "./doubles/PushEscrow.sol";

/// Balances of payer, node and fee receiver exist already, the fee is 5 %, nothing is burnt.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    uint256 private constant FRAMES = (1 << 200) - 1;

    event Measured(string path, uint256 gas);

    function setUp() public override {
        super.setUp();
        _deposit(payer, 1000 ether);
        rndr.mint(address(this), WEALTH);
        rndr.approve(address(escrow), WEALTH);
        escrow.depositFor(node, 1);
        escrow.depositFor(fees, 1);
    }

    function test_DepositFirst() public {
        _fund(stranger);
        _approveExactly(stranger, 5 ether);
        vm.prank(stranger);
        escrow.deposit(5 ether);
        _atMost("deposit, first", _gas(), 72_000);
    }

    function test_DepositAgain() public {
        _approveExactly(payer, 5 ether);
        vm.prank(payer);
        escrow.deposit(5 ether);
        _atMost("deposit, again", _gas(), 55_000);
    }

    function test_Withdraw() public {
        vm.prank(payer);
        escrow.withdraw(5 ether, payer);
        _atMost("withdraw", _gas(), 46_600); // the goal is 46,000
    }

    function test_OpenRelayed() public {
        Order memory order = _plain();
        bytes memory signature = _sign(PAYER_KEY, escrow.jobIdOf(order));
        vm.prank(stranger);
        escrow.openFor(order, payer, signature);
        _atMost("open by relayed signature", _gas(), 82_000);
    }

    function test_DepositAndOpen() public {
        _fund(approver);
        _deposit(approver, 1);
        Order memory order = _plain();
        _approveExactly(approver, order.cap);
        vm.prank(approver);
        escrow.open(order);
        _atMost("deposit and open in one call", _gas(), 100_000);
    }

    function test_Release200Frames() public {
        (Order memory order, bytes32 jobId) = _openedPlain();
        Lot[] memory lots = _one(_lot(FRAMES));
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        vm.prank(settler);
        escrow.release(order, lots, "", approval);
        _atMost("release 200 frames, 1 node, settler sends", _gas(), 92_000);
    }

    function test_Release200FramesTo10Nodes() public {
        uint256 gas = _releaseTo(10, 20);
        _atMost("release 200 frames, 10 nodes, Acceptance", gas, 258_500); // the goal is 240,000
    }

    function test_ReleaseTo32Nodes() public {
        uint256 gas = _releaseTo(32, 6);
        _atMost("release to 32 nodes, per payment", gas / 32, 20_600); // the goal is 19,000
    }

    function test_CommitThenSettle200Frames() public {
        (uint256 gas,) = _commitAndSettle("");
        _atMost("commit + settle 200 sealed frames", gas, 183_000);
    }

    function test_CommitApprovedAndSettle200Frames() public {
        bytes32 jobId = escrow.jobIdOf(_plain());
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(_sealed(FRAMES)));
        (uint256 gas,) = _commitAndSettle(approval);
        _atMost("commit with approval + settle 200 sealed frames", gas, 190_000);
    }

    function test_RedeemToAKnownNode() public {
        _atMost("voucher redemption to a known node", _redeem(node), 73_000);
    }

    function test_RedeemToANewNode() public {
        _atMost("voucher redemption to a new node", _redeem(otherNode), 90_000);
    }

    // ---- the same payments by a legacy push escrow: a transfer for each, in the same run ----

    function test_Push200FramesToOneNode() public {
        address[] memory to = new address[](200);
        for (uint256 i = 0; i < 200; ++i) {
            to[i] = node;
        }
        _atMost("push escrow: 200 frames, 1 node", _push(to), 1_700_000);
    }

    function test_PushTo32Nodes() public {
        address[] memory to = new address[](32);
        for (uint256 i = 0; i < 32; ++i) {
            to[i] = address(uint160(uint256(keccak256(abi.encode("node", i)))));
            rndr.mint(to[i], 1);
        }
        _atMost("push escrow: 32 nodes, per payment", _push(to) / 32, 12_000);
    }

    function _push(address[] memory to) private returns (uint256) {
        PushEscrow push = new PushEscrow(rndr);
        rndr.setEscrowContractAddress(address(push));
        rndr.mint(node, 1);
        vm.prank(payer);
        rndr.holdInEscrow("job", CAP);
        uint256[] memory amounts = new uint256[](to.length);
        for (uint256 i = 0; i < to.length; ++i) {
            amounts[i] = PRICE;
        }
        push.disburseJob("job", to, amounts);
        return _gas();
    }

    /// The second redemption of a job, by both signatures.
    function _redeem(address to) private returns (uint256) {
        Order memory order = _plain();
        order.units = 0;
        bytes32 jobId = escrow.jobIdOf(order);
        escrow.openFor(order, payer, _sign(PAYER_KEY, jobId));
        _redeemUpTo(order, jobId, 1 ether, _payout(node, 1 ether));
        _redeemUpTo(order, jobId, 3 ether, _payout(to, 2 ether));
        return _gas();
    }

    function _redeemUpTo(Order memory order, bytes32 jobId, uint96 cumulative, Payout[] memory due)
        private
    {
        bytes memory voucher = _voucher(jobId, cumulative);
        bytes memory consent = _redemption(jobId, cumulative, due);
        vm.prank(stranger);
        escrow.redeem(order, cumulative, voucher, due, consent);
    }

    function _commitAndSettle(bytes memory approval)
        private
        returns (uint256 gas, Order memory order)
    {
        (order,) = _openedPlain();
        Lot[] memory lots = _one(_sealed(FRAMES));
        vm.prank(settler);
        escrow.commit(order, lots, "", approval);
        gas = _gas();
        if (approval.length == 0) vm.warp(START + REVIEW);
        vm.prank(settler);
        escrow.settle(order, lots, _keys(KEY));
        gas += _gas();
    }

    function _releaseTo(uint256 nodes, uint256 framesEach) private returns (uint256) {
        (Order memory order, bytes32 jobId) = _openedPlain();
        Lot[] memory lots = new Lot[](nodes);
        for (uint256 i = 0; i < nodes; ++i) {
            address to = address(uint160(uint256(keccak256(abi.encode("node", i)))));
            escrow.depositFor(to, 1);
            lots[i] = _lotOf(to, 0, ((1 << framesEach) - 1) << (i * framesEach), 0);
        }
        bytes memory acceptance = _acceptance(jobId, lots);
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        vm.prank(stranger);
        escrow.release(order, lots, acceptance, approval);
        return _gas();
    }

    function _plain() private view returns (Order memory order) {
        order = _order();
        order.approver = address(0);
        order.refundTo = payer;
        order.burnBps = 0;
    }

    function _openedPlain() private returns (Order memory order, bytes32 jobId) {
        order = _plain();
        jobId = escrow.openFor(order, payer, _sign(PAYER_KEY, escrow.jobIdOf(order)));
    }

    function _approveExactly(address owner, uint256 amount) private {
        vm.prank(owner);
        rndr.approve(address(escrow), amount);
    }

    function _gas() private view returns (uint256) {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.assertGe(gas, 21_000, "whole transactions: run isolated");
        return gas;
    }

    function _atMost(string memory path, uint256 gas, uint256 most) private {
        emit Measured(path, gas);
        vm.assertLe(gas, most, path);
    }
}
