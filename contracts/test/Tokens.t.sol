// SPDX-License-Identifier: MIT OR Apache-2.0
// Tokens that lie, block, re-enter or shrink: refused at the door, or harmless to payments.
pragma solidity 0.8.37;

import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {
    Coin,
    FalseCoin,
    FeeCoin,
    GenerousCoin,
    GuardedCoin,
    ReentrantCoin,
    ShrinkingCoin,
    SilentCoin,
    ThievingCoin
} from "./doubles/LyingTokens.sol";
import {Fixture} from "./Fixture.sol";

contract TokensTest is Fixture {
    function test_FeeOnTransferIsRefused() public {
        _take(new FeeCoin());
        vm.prank(payer);
        _fails(_inexact(1000, 0, 990));
        escrow.deposit(1000);
        _fails(_inexact(CAP, 0, CAP - CAP / 100));
        vm.prank(payer);
        escrow.open(_order());
    }

    function test_GenerousTransferIsRefused() public {
        _take(new GenerousCoin());
        vm.prank(payer);
        _fails(_inexact(1000, 0, 1001));
        escrow.deposit(1000);
    }

    function test_ShrinkingWhilePullingIsRefused() public {
        Coin coin = new ThievingCoin();
        _take(coin);
        coin.mint(address(escrow), 50);
        vm.prank(payer);
        _fails(_inexact(1000, 50, 25));
        escrow.deposit(1000);
    }

    function test_FalseReturnIsRefused() public {
        FalseCoin coin = new FalseCoin();
        _take(coin);
        vm.prank(payer);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_PullFailed.selector, payer, 7, WEALTH, WEALTH
            )
        );
        escrow.deposit(7);
        coin.setHonest(true);
        _deposit(payer, 7);
        coin.setHonest(false);
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_SendFailed.selector, payer, 7));
        escrow.withdraw(7, payer);
        _checkAccount(payer, 7, 1);
    }

    function test_NoReturnValueIsTaken() public {
        SilentCoin coin = new SilentCoin();
        _take(Coin(address(coin)));
        _deposit(payer, 7);
        vm.prank(payer);
        escrow.withdraw(3, node);
        vm.assertEq(coin.balanceOf(node), 3, "tokens got");
        _checkAccount(payer, 4, 2);
    }

    function test_DepositInADepositIsRefused() public {
        ReentrantCoin coin = new ReentrantCoin();
        _take(coin);
        coin.mint(address(coin), 100);
        vm.prank(address(coin));
        coin.approve(address(escrow), 100);
        _reenters(coin, abi.encodeCall(escrow.deposit, (100)));
        _reenters(coin, abi.encodeCall(escrow.depositFor, (stranger, 100)));
        _reenters(coin, abi.encodeCall(escrow.open, (_order())));
        _reenters(coin, abi.encodeCall(escrow.withdraw, (1, stranger)));
        _reenters(coin, abi.encodeCall(escrow.burn, ()));
        _reenters(
            coin,
            abi.encodeCall(escrow.fundJob, ("0x00000000000000000000000000000000000040dE", 100))
        );
    }

    /// What moves no token needs no guard: it finds books that are complete.
    function test_TopUpInADepositSpendsOnlyWhatIsPaidInTheEnd() public {
        ReentrantCoin coin = new ReentrantCoin();
        _take(coin);
        bytes32 jobId = _open(_order());
        vm.prank(payer);
        escrow.depositFor(address(coin), 5);
        coin.arm(address(escrow), abi.encodeCall(escrow.topUp, (jobId, 5)));
        _deposit(payer, 10);
        vm.assertTrue(coin.succeeded(), "the top-up inside");
        _checkJob(jobId, CAP + 5, 0, 0, 0, 2, 1);
        vm.assertEq(coin.balanceOf(address(escrow)), CAP + 15, "tokens held");
    }

    function test_PausedTokenStopsNoPaymentAndNoClose() public {
        GuardedCoin coin = new GuardedCoin();
        (Order memory order, bytes32 jobId) = _jobIn(coin);
        coin.setPaused(true);
        _release(order, _lot(1));
        _commit(order, _sealed(2));
        vm.warp(START + REVIEW);
        escrow.settle(order, _one(_sealed(2)), _keys(KEY));
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        escrow.close(order, "", "");
        _checkJob(jobId, 2 ether, 2 ether, 0, 2, 6, 2);
        coin.setPaused(false);
        vm.prank(node);
        escrow.withdraw(1.88 ether, node);
        vm.assertEq(coin.balanceOf(node), 1.88 ether, "tokens got");
    }

    function test_BlockedNodeStopsNobodyElse() public {
        GuardedCoin coin = new GuardedCoin();
        (Order memory order, bytes32 jobId) = _jobIn(coin);
        coin.setBlocked(node, true);
        Lot[] memory lots = _two(_lot(1), _lotOf(otherNode, 0, 2, 0));
        bytes memory approval = _approval(PAYER_KEY, jobId, lots);
        vm.prank(settler);
        escrow.release(order, lots, "", approval);
        vm.prank(otherNode);
        escrow.withdraw(0.94 ether, otherNode);
        // The blocked node still chooses where its money goes.
        vm.prank(node);
        escrow.withdraw(0.94 ether, stranger);
        vm.assertEq(coin.balanceOf(stranger), 0.94 ether, "tokens got");
    }

    function test_ShrunkBalanceStopsTheLastWithdrawalOnly() public {
        ShrinkingCoin coin = new ShrinkingCoin();
        (Order memory order,) = _jobIn(coin);
        _release(order, _lot(3));
        coin.shrink(address(escrow), 299 ether);
        vm.prank(node);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SendFailed.selector, node, 1.88 ether
            )
        );
        escrow.withdraw(1.88 ether, node);
        vm.prank(node);
        escrow.withdraw(1 ether, node);
        _checkAccount(node, 0.88 ether, 2);
    }

    function _take(Coin coin) private {
        escrow = new RenderEscrow(address(coin), issuer, guardian);
        coin.mint(payer, WEALTH);
        vm.prank(payer);
        // By hand: the silent token answers nothing, which a typed call would refuse.
        (bool done,) = address(coin).call(abi.encodeCall(Coin.approve, (address(escrow), WEALTH)));
        vm.assertTrue(done, "approve");
    }

    function _jobIn(Coin coin) private returns (Order memory order, bytes32 jobId) {
        _take(coin);
        order = _order();
        jobId = _open(order);
    }

    /// The call inside fails by the guard; the deposit around it is counted once.
    function _reenters(ReentrantCoin coin, bytes memory question) private {
        coin.arm(address(escrow), question);
        uint256 before = _free(payer);
        _deposit(payer, 10);
        vm.assertTrue(!coin.succeeded(), "the call inside");
        vm.assertEq(
            keccak256(coin.answer()),
            keccak256(
                abi.encodeWithSelector(
                    ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector
                )
            ),
            "refused by the guard"
        );
        vm.assertEq(_free(payer), before + 10, "counted once");
        vm.assertEq(_free(stranger) + _free(address(coin)), 0, "nobody else");
    }

    function _inexact(uint256 amount, uint256 held, uint256 holds)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_DepositInexact.selector, amount, held, holds
        );
    }
}
