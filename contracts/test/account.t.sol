// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of withdraw and burn.
pragma solidity 0.8.37;

import {Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {GuardedCoin} from "./doubles/LyingTokens.sol";
import {Fixture} from "./Fixture.sol";

contract AccountTest is Fixture {
    // ---- withdraw ----

    function test_withdraw_RefusesAZeroAmount() public {
        _deposit(payer, 10);
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        escrow.withdraw(0, payer);
    }

    function test_withdraw_RefusesMoreThanIsFree() public {
        _deposit(payer, 10);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, 11, 10)
        );
        escrow.withdraw(11, payer);
    }

    function test_withdraw_RefusesSomebodyElsesMoney() public {
        _deposit(payer, 10);
        vm.prank(stranger);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, stranger, 1, 0)
        );
        escrow.withdraw(1, stranger);
    }

    function test_withdraw_RefusesMoneyLockedInAJob() public {
        _opened();
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, 1, 0));
        escrow.withdraw(1, payer);
    }

    function test_withdraw_RefusesTheZeroAccount() public {
        _deposit(payer, 10);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, address(0))
        );
        escrow.withdraw(1, address(0));
    }

    function test_withdraw_RefusesTheEscrowItself() public {
        _deposit(payer, 10);
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, escrow));
        escrow.withdraw(1, address(escrow));
    }

    function test_withdraw_SaysThatTheTokenRefused() public {
        GuardedCoin coin = new GuardedCoin();
        escrow = new RenderEscrow(address(coin), issuer, guardian);
        coin.mint(payer, 10);
        vm.startPrank(payer);
        coin.approve(address(escrow), 10);
        escrow.deposit(10);
        coin.setPaused(true);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_SendFailed.selector, stranger, 10)
        );
        escrow.withdraw(10, stranger);
        vm.stopPrank();
        _checkAccount(payer, 10, 1);
    }

    function test_withdraw_SendsToAnyAccountAndSaysWhatRemains() public {
        _deposit(payer, 10);
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Withdrawn(payer, stranger, 4, 6, 2);
        escrow.withdraw(4, stranger);
        _checkAccount(payer, 6, 2);
        vm.assertEq(rndr.balanceOf(stranger), 4, "tokens got");
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Withdrawn(payer, payer, 6, 0, 3);
        escrow.withdraw(6, payer);
        vm.assertEq(rndr.balanceOf(address(escrow)), 0, "tokens held");
    }

    function testFuzz_withdraw_PaysBackExactly(uint96 amount, uint96 part) public {
        vm.assume(amount != 0);
        part = 1 + part % amount;
        rndr.mint(payer, amount);
        _deposit(payer, amount);
        vm.prank(payer);
        escrow.withdraw(part, node);
        _checkAccount(payer, amount - part, 2);
        vm.assertEq(rndr.balanceOf(node), part, "tokens got");
    }

    // ---- burn ----

    function test_burn_RefusesWhenThereIsNothingToBurn() public {
        vm.prank(stranger);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        escrow.burn();
    }

    function test_burn_SendsTheDeadAccountsMoneyToTheDeadAddressByAnyone() public {
        (Order memory order,) = _opened();
        _release(order, _lot(0x3ff));
        _checkAccount(DEAD, 0.1 ether, 1);
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Burned(0.1 ether, 0, 2);
        escrow.burn();
        _checkAccount(DEAD, 0, 2);
        vm.assertEq(rndr.balanceOf(DEAD), 0.1 ether, "tokens burnt");
    }
}
