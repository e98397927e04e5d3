// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of the constructor, deposit, depositFor and fundJob.
pragma solidity 0.8.37;

import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Fixture} from "./Fixture.sol";

contract DepositTest is Fixture {
    // ---- constructor ----

    function test_constructor_RefusesATokenWithoutCode() public {
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_TokenRefused.selector, stranger));
        new RenderEscrow(stranger, issuer, guardian);
    }

    function test_constructor_KeepsTheTokenAndNamesTheDomain() public view {
        vm.assertEq(escrow.token(), address(rndr), "token");
        (, string memory name, string memory version, uint256 chain, address verifying,,) =
            escrow.eip712Domain();
        vm.assertEq(keccak256(bytes(name)), keccak256("RenderEscrow"), "name");
        vm.assertEq(keccak256(bytes(version)), keccak256("1"), "version");
        vm.assertEq(chain, block.chainid, "chain");
        vm.assertEq(verifying, address(escrow), "verifying contract");
    }

    // ---- deposit ----

    function test_deposit_RefusesAZeroAmount() public {
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        escrow.deposit(0);
    }

    function test_deposit_RefusesMoreThanTheAllowanceWithTheFigures() public {
        vm.startPrank(payer);
        rndr.approve(address(escrow), 6);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector, payer, 7, WEALTH, 6
            )
        );
        escrow.deposit(7);
    }

    function test_deposit_RefusesMoreThanTheBalanceWithTheFigures() public {
        uint256 allowed = type(uint256).max;
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector, payer, WEALTH + 1, WEALTH, allowed
            )
        );
        escrow.deposit(WEALTH + 1);
    }

    function test_deposit_RefusesWhatWouldPass96BitsInAll() public {
        rndr.mint(address(escrow), type(uint96).max);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_BalanceTooLarge.selector, uint256(2) ** 96
            )
        );
        escrow.deposit(1);
    }

    function test_deposit_TakesTheLastUnitThatFits() public {
        rndr.mint(address(escrow), type(uint96).max - 1);
        _deposit(payer, 1);
        _checkAccount(payer, 1, 1);
    }

    function test_deposit_CreditsTheCallerAndCounts() public {
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Deposited(payer, payer, 30, 30, 1);
        escrow.deposit(30);
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Deposited(payer, payer, 12, 42, 2);
        escrow.deposit(12);
        _checkAccount(payer, 42, 2);
        vm.assertEq(rndr.balanceOf(address(escrow)), 42, "tokens held");
        vm.assertEq(rndr.balanceOf(payer), WEALTH - 42, "tokens left");
    }

    function testFuzz_deposit_CreditsExactly(uint96 amount) public {
        vm.assume(amount != 0);
        rndr.mint(payer, amount);
        _deposit(payer, amount);
        _checkAccount(payer, amount, 1);
        vm.assertEq(rndr.balanceOf(address(escrow)), amount, "tokens held");
    }

    // ---- depositFor ----

    function test_depositFor_RefusesTheZeroAccount() public {
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, address(0))
        );
        escrow.depositFor(address(0), 1);
    }

    function test_depositFor_RefusesTheEscrowItself() public {
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, escrow));
        escrow.depositFor(address(escrow), 1);
    }

    function test_depositFor_RefusesAZeroAmount() public {
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        escrow.depositFor(node, 0);
    }

    function test_depositFor_TakesTheCallersTokensForTheNamedAccount() public {
        _fund(stranger);
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Deposited(stranger, payer, 5, 5, 1);
        escrow.depositFor(stranger, 5);
        _checkAccount(stranger, 5, 1);
        _checkAccount(payer, 0, 0);
        vm.assertEq(rndr.balanceOf(payer), WEALTH - 5, "the caller's tokens");
        vm.assertEq(rndr.balanceOf(stranger), WEALTH, "the account's own tokens");
    }

    // ---- fundJob ----

    function test_fundJob_RefusesACallerThatIsNotTheToken() public {
        vm.prank(stranger);
        _callerRefused(stranger, address(rndr), address(0));
        escrow.fundJob("0x00000000000000000000000000000000000040dE", 1);
    }

    function test_fundJob_RefusesATextThatIsNoAddress() public {
        _hold("job-7", 1);
        _hold("", 1);
        _hold("0x00000000000000000000000000000000000040d", 1);
        _hold("0x00000000000000000000000000000000000040dEE", 1);
        _hold("0x00000000000000000000000000000000000040dG", 1);
        _hold("0X00000000000000000000000000000000000040dE", 1);
    }

    function test_fundJob_RefusesAnAddressWithout0x() public {
        _hold("00000000000000000000000000000000000040dE", 1);
    }

    function test_fundJob_RefusesTheZeroAccount() public {
        rndr.setEscrowContractAddress(address(escrow));
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, address(0))
        );
        rndr.holdInEscrow("0x0000000000000000000000000000000000000000", 1);
    }

    function test_fundJob_RefusesAZeroAmount() public {
        rndr.setEscrowContractAddress(address(escrow));
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        rndr.holdInEscrow("0x00000000000000000000000000000000000040dE", 0);
    }

    function test_fundJob_RefusesAnAmountBeyond96Bits() public {
        uint256 amount = uint256(2) ** 96;
        vm.prank(address(rndr));
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_BalanceTooLarge.selector, amount));
        escrow.fundJob("0x00000000000000000000000000000000000040dE", amount);
    }

    function test_fundJob_RefusesWhatWouldPass96BitsInAll() public {
        rndr.setEscrowContractAddress(address(escrow));
        rndr.mint(address(escrow), type(uint96).max);
        uint256 held = uint256(type(uint96).max) + 5;
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_BalanceTooLarge.selector, held));
        rndr.holdInEscrow("0x00000000000000000000000000000000000040dE", 5);
    }

    function test_fundJob_CreditsTheNamedAccountByHoldInEscrow() public {
        rndr.setEscrowContractAddress(address(escrow));
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.Deposited(node, address(rndr), 9, 9, 1);
        rndr.holdInEscrow("0x00000000000000000000000000000000000040dE", 9);
        _checkAccount(node, 9, 1);
        vm.assertEq(rndr.balanceOf(address(escrow)), 9, "tokens held");
        vm.assertEq(rndr.balanceOf(payer), WEALTH - 9, "tokens left");
    }

    function _hold(string memory text, uint256 amount) private {
        rndr.setEscrowContractAddress(address(escrow));
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountTextRefused.selector, text)
        );
        rndr.holdInEscrow(text, amount);
        vm.assertEq(rndr.balanceOf(payer), WEALTH, "nothing moved");
    }
}
