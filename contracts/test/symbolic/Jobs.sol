// SPDX-License-Identifier: MIT OR Apache-2.0
// Symbolic properties of opening, topping up, redeeming and closing.
pragma solidity 0.8.37;

import {IRenderEscrow} from "../../src/IRenderEscrow.sol";
import {Order, Payout} from "../../src/Order.sol";
import {Ground} from "./Ground.sol";

contract SymbolicJobs is Ground {
    /// An empty signature is the caller's word and nobody else's.
    function check_opening_for_another_needs_its_word(
        address caller,
        address signer,
        Order memory order
    ) external {
        _outsider(caller);
        vm.assume(caller != signer);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.openFor, (order, signer, ""))));
    }

    function check_a_delegate_stays_within_its_bounds(address agent, Order memory order) external {
        _outsider(agent);
        vm.assume(agent != order.payer);
        (address settler, uint96 allowance, uint96 maxPerJob, uint40 expiry) =
            escrow.delegate(order.payer, agent);
        vm.prank(agent);
        escrow.openFor(order, agent, "");
        assert(block.timestamp < expiry && order.settler == settler);
        assert(order.refundTo == order.payer);
        assert(order.cap <= allowance && order.cap <= maxPerJob);
        (, uint96 left,,) = escrow.delegate(order.payer, agent);
        assert(left == allowance - order.cap);
    }

    function check_opening_spends_exactly_the_cap(Order memory order) external {
        _outsider(order.payer);
        Account memory before = _account(order.payer);
        _sane(before, 0);
        bytes32 jobId = escrow.jobIdOf(order);
        vm.assume(_job(jobId).creditShare == 0);
        vm.prank(order.payer);
        escrow.openFor(order, order.payer, "");
        Account memory later = _account(order.payer);
        Job memory job = _job(jobId);
        assert(
            job.funded == order.cap && job.status == 1 && later.seq == before.seq + 1
                && later.credit + job.creditShare == before.credit
                && later.free + order.cap == before.free + job.creditShare
        );
    }

    /// Credit goes to the settler that the issuer named, and to no other.
    function check_credit_is_for_the_named_settler(Order memory order) external {
        _outsider(order.payer);
        (,, address named,,) = escrow.offices();
        Account memory before = _account(order.payer);
        _sane(before, 0);
        vm.prank(order.payer);
        escrow.openFor(order, order.payer, "");
        assert(order.settler == named || _account(order.payer).credit == before.credit);
    }

    function check_a_job_opens_once(address caller, Order memory order) external {
        _outsider(caller);
        vm.assume(_job(escrow.jobIdOf(order)).status != 0);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.open, (order))));
    }

    function check_no_opening_while_paused(address caller, Order memory order) external {
        _outsider(caller);
        vm.assume(block.timestamp < _pausedUntil());
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.openFor, (order, caller, ""))));
    }

    function check_a_top_up_moves_exactly_its_amount(address caller, bytes32 jobId, uint96 amount)
        external
    {
        _outsider(caller);
        Account memory before = _account(caller);
        Job memory job = _job(jobId);
        vm.assume(before.seq < type(uint64).max);
        vm.prank(caller);
        escrow.topUp(jobId, amount);
        Account memory later = _account(caller);
        Job memory after_ = _job(jobId);
        assert(job.status == 1 && after_.funded == job.funded + amount);
        assert(later.free + amount == before.free && later.credit == before.credit);
        assert(after_.released == job.released && after_.pending == job.pending);
    }

    /// Of one caller for both sides, which no opened job has, to leave signatures out; and in a job
    /// without shares, whose division is beyond the solver.
    function check_a_redemption_pays_exactly_its_voucher(
        Order memory order,
        uint96 cumulative,
        Payout memory payout
    ) external {
        _outsider(order.payer);
        (order.feeBps, order.burnBps, order.settler) = (0, 0, order.payer);
        Job memory job = _job(escrow.jobIdOf(order));
        _sane(job);
        Account memory node = _account(payout.node);
        _sane(node, payout.amount);
        Payout[] memory payouts = new Payout[](1);
        payouts[0] = payout;
        vm.prank(order.settler);
        escrow.redeem(order, cumulative, "", payouts, "");
        Job memory after_ = _job(escrow.jobIdOf(order));
        assert(order.units == 0 && cumulative > job.released);
        assert(after_.released == cumulative && cumulative <= job.funded - job.pending);
        assert(payout.amount == cumulative - job.released);
        assert(_account(payout.node).free == node.free + payout.amount);
    }

    /// Before its end only both sides together close a job that is not all paid.
    function check_no_early_close_by_one(address caller, Order memory order) external {
        _outsider(caller);
        Job memory job = _job(escrow.jobIdOf(order));
        uint256 deadline = job.closeRequestedAt == 0 ? order.workDeadline : job.closeRequestedAt;
        vm.assume(block.timestamp < deadline + order.claimGrace);
        vm.assume(order.units == 0 || job.unitsPaid != order.units);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.close, (order, "", ""))));
    }

    function check_close_returns_what_is_neither_paid_nor_pending(
        address caller,
        Order memory order
    ) external {
        _outsider(caller);
        bytes32 jobId = escrow.jobIdOf(order);
        Job memory job = _job(jobId);
        _sane(job);
        Account memory payer = _account(order.payer);
        Account memory refund = _account(order.refundTo);
        _sane(payer, job.funded);
        _sane(refund, job.funded);
        vm.prank(caller);
        escrow.close(order, "", "");
        Job memory after_ = _job(jobId);
        assert(after_.status == 2 && after_.funded == job.released + job.pending);
        uint256 credited = _account(order.payer).credit - payer.credit;
        uint256 freed = _account(order.refundTo).free - refund.free;
        assert(credited + freed == job.funded - after_.funded);
        assert(credited + after_.creditShare == job.creditShare);
    }

    /// From the job's end, whatever is paused; of a job without credit, which keeps it short.
    function check_close_is_always_open_from_the_end(address caller, Order memory order) external {
        _outsider(caller);
        Job memory job = _job(escrow.jobIdOf(order));
        _sane(job);
        uint256 deadline = job.closeRequestedAt == 0 ? order.workDeadline : job.closeRequestedAt;
        vm.assume(job.status == 1 && block.timestamp >= deadline + order.claimGrace);
        vm.assume(job.creditShare == 0);
        assert(_try(caller, abi.encodeCall(IRenderEscrow.close, (order, "", ""))));
    }

    function check_only_the_payers_side_asks_to_close(address caller, Order memory order)
        external
    {
        _outsider(caller);
        vm.assume(caller != order.payer && caller != order.approver);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.requestClose, (order, ""))));
    }
}
