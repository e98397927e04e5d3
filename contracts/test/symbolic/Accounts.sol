// SPDX-License-Identifier: MIT OR Apache-2.0
// Symbolic properties of balances and offices.
pragma solidity 0.8.37;

import {IRenderEscrow} from "../../src/IRenderEscrow.sol";
import {Order} from "../../src/Order.sol";
import {Ground} from "./Ground.sol";

contract SymbolicAccounts is Ground {
    function check_deposit_credits_exactly(
        address caller,
        address owner,
        address other,
        uint96 amount
    ) external {
        _outsider(caller);
        vm.assume(other != owner);
        Account memory before = _account(owner);
        Account memory others = _account(other);
        uint256 held = rndr.balanceOf(address(escrow));
        // What is owed to one never exceeds what is held for all.
        vm.assume(before.free <= held && before.seq < type(uint64).max);
        vm.prank(caller);
        escrow.depositFor(owner, amount);
        Account memory later = _account(owner);
        assert(later.free == before.free + amount && later.credit == before.credit);
        assert(later.seq == before.seq + 1 && amount != 0);
        assert(rndr.balanceOf(address(escrow)) == held + amount);
        _same(_account(other), others);
    }

    function check_withdraw_debits_exactly(
        address caller,
        address to,
        address other,
        uint96 amount
    ) external {
        _outsider(caller);
        vm.assume(other != caller);
        Account memory before = _account(caller);
        Account memory others = _account(other);
        uint256 held = rndr.balanceOf(address(escrow));
        vm.assume(before.seq < type(uint64).max);
        vm.prank(caller);
        escrow.withdraw(amount, to);
        Account memory later = _account(caller);
        assert(amount <= before.free && later.free == before.free - amount);
        assert(later.credit == before.credit && later.seq == before.seq + 1);
        assert(rndr.balanceOf(address(escrow)) == held - amount);
        _same(_account(other), others);
    }

    /// Whatever is paused and whatever else is stored.
    function check_withdraw_is_always_open(address caller, address to, uint96 amount) external {
        _outsider(caller);
        _outsider(to);
        uint256 free = _account(caller).free;
        vm.assume(amount != 0 && amount <= free && _account(caller).seq < type(uint64).max);
        vm.assume(free <= rndr.balanceOf(address(escrow)));
        vm.assume(rndr.balanceOf(to) <= MOST);
        assert(_try(caller, abi.encodeCall(IRenderEscrow.withdraw, (amount, to))));
    }

    /// By a call of another; what a delegate may do is a property of its own.
    function check_only_its_owner_spends_an_account(
        address caller,
        address owner,
        uint8 which,
        uint96 amount,
        address to,
        Order memory order
    ) external {
        _outsider(caller);
        vm.assume(caller != owner && owner != DEAD);
        Account memory before = _account(owner);
        _sane(before, 0);
        bytes memory data;
        if (which == 0) data = abi.encodeCall(IRenderEscrow.withdraw, (amount, to));
        else if (which == 1) data = abi.encodeCall(IRenderEscrow.burn, ());
        else if (which == 2) data = abi.encodeCall(IRenderEscrow.open, (order));
        else if (which == 3) data = abi.encodeCall(IRenderEscrow.topUp, (order.salt, amount));
        else data = abi.encodeCall(IRenderEscrow.revokeDelegate, (to));
        vm.assume(_try(caller, data));
        _same(_account(owner), before);
    }

    function check_only_the_issuer_issues_credit(address caller, address to, uint96 amount)
        external
    {
        _outsider(caller);
        Account memory before = _account(to);
        uint256 held = rndr.balanceOf(address(escrow));
        vm.assume(before.credit <= held && before.seq < type(uint64).max);
        vm.prank(caller);
        escrow.issueCredit(to, amount);
        Account memory later = _account(to);
        assert(caller == ISSUER && amount != 0);
        assert(later.free == before.free && later.credit == before.credit + amount);
        assert(later.seq == before.seq + 1);
        assert(rndr.balanceOf(address(escrow)) == held + amount);
    }

    function check_offices_are_for_their_holders(
        address caller,
        uint8 which,
        address settler,
        uint40 until
    ) external {
        _outsider(caller);
        if (which == 0) {
            bytes memory data = abi.encodeCall(IRenderEscrow.nameSettler, (settler));
            if (_try(caller, data)) assert(caller == ISSUER);
        } else if (which == 1) {
            if (_try(caller, abi.encodeCall(IRenderEscrow.pause, (until)))) {
                assert(caller == GUARDIAN && until <= block.timestamp + 7 days);
            }
        } else {
            bytes memory data = abi.encodeCall(IRenderEscrow.unpause, ());
            if (_try(caller, data)) assert(caller == GUARDIAN);
        }
    }

    /// At least 30 days without a pause lie between two of them.
    function check_pauses_are_apart(uint40 until) external {
        uint256 last = _pausedUntil();
        vm.prank(GUARDIAN);
        escrow.pause(until);
        assert(last == 0 || block.timestamp >= last + 30 days);
        assert(_pausedUntil() == until);
    }

    function check_a_pause_stops_the_ways_in(
        address caller,
        uint8 which,
        address to,
        uint96 amount,
        bytes32 jobId
    ) external {
        _outsider(caller);
        vm.assume(block.timestamp < _pausedUntil());
        bytes memory data;
        if (which == 0) data = abi.encodeCall(IRenderEscrow.deposit, (amount));
        else if (which == 1) data = abi.encodeCall(IRenderEscrow.depositFor, (to, amount));
        else if (which == 2) data = abi.encodeCall(IRenderEscrow.issueCredit, (to, amount));
        else data = abi.encodeCall(IRenderEscrow.topUp, (jobId, amount));
        assert(!_try(caller, data));
    }
}
