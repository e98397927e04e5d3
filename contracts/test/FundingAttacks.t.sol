// SPDX-License-Identifier: MIT OR Apache-2.0
// Each known attack on permits, authorizations and vaults, one named test each.
pragma solidity 0.8.37;

import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Funding} from "../src/Funding.sol";
import {IFunding} from "../src/IFunding.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Order} from "../src/Order.sol";
import {ReentrantCoin, SideDoor, TwinCoin} from "./doubles/LyingTokens.sol";
import {Permit2Like} from "./doubles/Proxies.sol";
import {FundingFixture} from "./FundingFixture.sol";

contract FundingAttacksTest is FundingFixture {
    uint96 private constant AMOUNT = 40 * DOLLAR;

    Order private order;
    bytes32 private jobId;
    address private vault;

    function setUp() public override {
        super.setUp();
        _use(_dollarOrder());
    }

    // ---- permits and allowances ----

    function test_FrontRunPermitStopsNoDeposit() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(PAYER_KEY, address(funding), AMOUNT);
        vm.startPrank(stranger);
        usdc.permit(payer, address(funding), AMOUNT, VALID_BEFORE, v, r, s);
        // The allowance that the thief made is the payer's to use alone.
        _fails(_pullFailed(stranger, 0, 0));
        funding.depositWithPermit(stranger, AMOUNT, VALID_BEFORE, v, r, s);
        vm.stopPrank();
        vm.prank(payer);
        funding.depositWithPermit(payer, AMOUNT, VALID_BEFORE, v, r, s);
        _checkAccount(payer, AMOUNT, 1);
    }

    function test_SomebodysAllowanceIsNotPulled() public {
        vm.prank(payer);
        usdc.approve(address(funding), type(uint256).max);
        bytes memory bad = _authorization(STRANGER_KEY, payer, AMOUNT, stranger, 0);
        bytes memory badPermit = _permit2(STRANGER_KEY, AMOUNT, stranger, 0);
        vm.startPrank(stranger);
        _fails(_pullFailed(stranger, 0, 0));
        funding.depositWithPermit(stranger, AMOUNT, 0, 0, 0, 0);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        _depositAuthorized(stranger, AMOUNT, bad);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        _depositPermitted(stranger, AMOUNT, badPermit);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        funding.openWith(order, _authorized(bad));
        vm.assertEq(usdc.balanceOf(payer), DOLLARS, "the payer's tokens");
    }

    function test_AllowanceForPermit2IsWorthNothingWithoutTheWord() public {
        // Permit2 itself takes orders from its caller in the owner's name only by signature.
        bytes memory word = _permit2(PAYER_KEY, AMOUNT, payer, 0);
        funding = new Funding(address(escrow), PERMIT2);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        _depositPermitted(payer, AMOUNT, word);
    }

    // ---- redirected payloads ----

    function test_AuthorizationIsNotRedirectedToAnotherAccount() public {
        bytes memory word = _authorization(PAYER_KEY, payer, AMOUNT, payer, 0);
        vm.startPrank(stranger);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        _depositAuthorized(stranger, AMOUNT, word);
        // Nor taken to the token itself.
        bytes32 nonce = funding.authorizationNonce(payer, 0, SALT);
        _fails(abi.encodeWithSignature("ERC20InvalidReceiver(address)", funding));
        usdc.receiveWithAuthorization(
            payer, address(funding), AMOUNT, VALID_AFTER, VALID_BEFORE, nonce, word
        );
        vm.stopPrank();
        _depositAuthorized(payer, AMOUNT, word);
        _checkAccount(payer, AMOUNT, 1);
    }

    function test_AuthorizationIsNotTakenToAnotherFunding() public {
        bytes memory word = _authorization(PAYER_KEY, payer, AMOUNT, payer, 0);
        funding = new Funding(address(escrow), PERMIT2);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        _depositAuthorized(payer, AMOUNT, word);
    }

    function test_AuthorizationOfADepositOpensNoOrder() public {
        bytes memory word = _authorization(PAYER_KEY, payer, ORDERED, payer, 0);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        funding.openWith(order, _authorized(word));
    }

    function test_AuthorizationOfAnOrderIsNoDepositAndOpensNoOther() public {
        bytes memory word = _authorization(PAYER_KEY, payer, ORDERED, payer, jobId);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        _depositAuthorized(payer, ORDERED, word);
        order.settler = stranger;
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        funding.openWith(order, _authorized(word));
    }

    function test_AuthorizationOfAnotherAmountThanTheCapOpensNothing() public {
        bytes memory more = _authorization(PAYER_KEY, payer, ORDERED + 1, payer, jobId);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        funding.openWith(order, _authorized(more));
    }

    function test_Permit2IsNotRedirectedToAnotherAccount() public {
        bytes memory word = _permit2(PAYER_KEY, AMOUNT, payer, 0);
        vm.prank(stranger);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        _depositPermitted(stranger, AMOUNT, word);
        _depositPermitted(payer, AMOUNT, word);
        _checkAccount(payer, AMOUNT, 1);
    }

    function test_Permit2OfAnOrderIsNoDepositAndOpensNoOther() public {
        bytes memory word = _permit2(PAYER_KEY, ORDERED, payer, jobId);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        _depositPermitted(payer, ORDERED, word);
        order.settler = stranger;
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        funding.openWith(order, _permitted(word));
    }

    function test_Permit2OfADepositOpensNoOrder() public {
        bytes memory word = _permit2(PAYER_KEY, ORDERED, payer, 0);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        funding.openWith(order, _permitted(word));
    }

    function test_PayloadSentFirstByAThiefOpensThePayersJob() public {
        bytes memory payload = _byAuthorization(order);
        vm.prank(stranger);
        funding.openWith(order, payload);
        _checkOpened(order);
        bytes32 nonce = funding.authorizationNonce(payer, jobId, SALT);
        _fails(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, payer, nonce));
        funding.openWith(order, payload);
    }

    function test_PayloadOfAnOrderOpenedAnotherWayMovesNothing() public {
        bytes memory payload = _byPermit2(order);
        usdc.mint(vault, ORDERED);
        funding.openFromVault(order);
        _fails(_jobKnown());
        funding.openWith(order, payload);
        vm.assertEq(usdc.balanceOf(payer), DOLLARS, "the payer's tokens");
        vm.assertEq(Permit2Like(PERMIT2).nonceBitmap(payer, NONCE >> 8), 0, "the nonce");
    }

    // ---- gifts to Funding ----

    function test_GiftsStopNothingAndNobodyTakesThem() public {
        usdc.mint(address(funding), AMOUNT);
        (uint8 v, bytes32 r, bytes32 s) = _permit(STRANGER_KEY, address(funding), AMOUNT);
        vm.prank(stranger);
        _fails(_pullFailed(stranger, 0, AMOUNT));
        funding.depositWithPermit(stranger, AMOUNT, VALID_BEFORE, v, r, s);
        _depositAuthorized(payer, AMOUNT, _authorization(PAYER_KEY, payer, AMOUNT, payer, 0));
        funding.openWith(order, _byPermit2(order));
        _checkOpened(order);
        vm.assertEq(usdc.balanceOf(address(funding)), AMOUNT, "the gift");
        vm.assertEq(usdc.balanceOf(payer), DOLLARS - AMOUNT - ORDERED, "what the payer has left");
    }

    // ---- vaults ----

    function test_DustStopsNoVault() public {
        vm.startPrank(stranger);
        usdc.mint(stranger, 2);
        usdc.transfer(vault, 1);
        usdc.approve(address(escrow), 1);
        escrow.depositFor(vault, 1);
        vm.stopPrank();
        usdc.mint(vault, ORDERED);
        funding.openFromVault(order);
        _checkOpened(order);
        funding.rescueVault(order, address(usdc));
        vm.assertEq(usdc.balanceOf(treasury), 2, "the dust");
    }

    function test_VaultIsNotSweptEarlyThroughASecondAddressOfItsToken() public {
        TwinCoin twin = new TwinCoin();
        SideDoor door = twin.door();
        _escrowOf(twin);
        _use(order);
        twin.mint(vault, ORDERED);
        _fails(_tooEarly());
        funding.rescueVault(order, address(door));
        funding.openFromVault(order);
        _checkOpened(order);
        twin.mint(vault, 3);
        funding.rescueVault(order, address(door));
        vm.assertEq(twin.balanceOf(treasury), 3, "late money, by either address");
    }

    function test_DepositForAVaultReachesItsJobOrRefundTo() public {
        _depositFor(vault, ORDERED);
        _fails(_tooEarly());
        funding.rescueVault(order, address(usdc));
        funding.openFromVault(order);
        _checkOpened(order);
        _depositFor(vault, 7);
        funding.rescueVault(order, address(usdc));
        vm.assertEq(usdc.balanceOf(treasury), 7, "deposited after the opening");
    }

    function test_DepositByAuthorizationForAVaultReachesItsJob() public {
        bytes memory word = _authorization(PAYER_KEY, payer, ORDERED, vault, 0);
        _depositAuthorized(vault, ORDERED, word);
        funding.openFromVault(order);
        _checkOpened(order);
    }

    function test_DepositAfterExpiryGoesToRefundTo() public {
        vm.warp(order.openBy);
        usdc.mint(vault, ORDERED);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DeadlinePassed.selector,
                jobId,
                order.openBy,
                order.openBy
            )
        );
        funding.openFromVault(order);
        funding.rescueVault(order, address(usdc));
        vm.assertEq(usdc.balanceOf(treasury), ORDERED, "late money");
    }

    function test_WrongTokenInAVaultOpensNothingAndIsNotLost() public {
        rndr.mint(vault, CAP);
        _fails(abi.encodeWithSelector(IFunding.Funding_VaultTooLow.selector, vault, ORDERED, 0, 0));
        funding.openFromVault(order);
        funding.rescueVault(order, address(rndr));
        vm.assertEq(rndr.balanceOf(treasury), CAP, "the wrong tokens");
    }

    function test_VaultMoneyOpensNoOtherOrder() public {
        usdc.mint(vault, ORDERED);
        order.refundTo = stranger;
        address other = funding.vaultOf(order);
        _fails(abi.encodeWithSelector(IFunding.Funding_VaultTooLow.selector, other, ORDERED, 0, 0));
        funding.openFromVault(order);
        vm.warp(order.openBy);
        _fails(abi.encodeWithSelector(IFunding.Funding_NothingToRescue.selector, other, usdc));
        funding.rescueVault(order, address(usdc));
    }

    function test_SecondPaymentOfAnOrderGoesToRefundTo() public {
        usdc.mint(vault, ORDERED);
        funding.openFromVault(order);
        usdc.mint(vault, ORDERED);
        _fails(_jobKnown());
        funding.openFromVault(order);
        funding.rescueVault(order, address(usdc));
        vm.assertEq(usdc.balanceOf(treasury), ORDERED, "the second payment");
    }

    function test_PauseDelaysAVaultAndNeverKeepsIt() public {
        usdc.mint(vault, ORDERED);
        vm.warp(order.openBy - 1);
        _pauseEscrow();
        _failsPaused();
        funding.openFromVault(order);
        vm.warp(order.openBy);
        funding.rescueVault(order, address(usdc));
        vm.assertEq(usdc.balanceOf(treasury), ORDERED, "rescued in the pause");
    }

    function test_BlockedVaultStopsOnlyItself() public {
        Order memory second = _dollarOrder();
        second.salt = "second";
        address other = funding.vaultOf(second);
        usdc.mint(vault, ORDERED);
        usdc.mint(other, ORDERED);
        usdc.setBlocked(vault, true);
        vm.expectRevert();
        funding.openFromVault(order);
        funding.openFromVault(second);
        _checkOpened(second);
        rndr.mint(vault, 1);
        funding.rescueVault(order, address(rndr));
        vm.assertEq(rndr.balanceOf(treasury), 1, "other tokens of the blocked vault");
    }

    // ---- re-entry ----

    function test_ReentrantTokenFindsEveryDoorShut() public {
        bytes[6] memory doors = [
            abi.encodeCall(funding.depositWithPermit, (stranger, 1, 0, 0, 0, 0)),
            abi.encodeCall(
                funding.depositWithAuthorization, (payer, stranger, 1, 0, 0, 0, new bytes(65))
            ),
            abi.encodeCall(funding.depositWithPermit2, (payer, stranger, 1, 0, 0, "")),
            abi.encodeCall(funding.openWith, (order, "")),
            abi.encodeCall(funding.openFromVault, (order)),
            abi.encodeCall(funding.rescueVault, (order, address(rndr)))
        ];
        for (uint256 i = 0; i < doors.length; ++i) {
            ReentrantCoin coin = new ReentrantCoin();
            _escrowOf(coin);
            vm.prank(payer);
            coin.approve(address(funding), AMOUNT);
            coin.arm(address(funding), doors[i]);
            vm.prank(payer);
            funding.depositWithPermit(payer, AMOUNT, 0, 0, 0, 0);
            _checkShut(coin);
            _checkAccount(payer, AMOUNT, 1);
            vm.assertEq(coin.balanceOf(address(funding)), 0, "tokens of Funding");
        }
    }

    function test_HostileTokenOfARescueCannotOpenOrSweepTheVault() public {
        usdc.mint(vault, ORDERED);
        ReentrantCoin hostile = new ReentrantCoin();
        hostile.mint(vault, 2);
        hostile.arm(address(funding), abi.encodeCall(funding.openFromVault, (order)));
        funding.rescueVault(order, address(hostile));
        _checkShut(hostile);
        hostile.mint(vault, 2);
        hostile.arm(address(funding), abi.encodeCall(funding.rescueVault, (order, address(usdc))));
        funding.rescueVault(order, address(hostile));
        _checkShut(hostile);
        vm.assertEq(usdc.balanceOf(vault), ORDERED, "the vault's dollars");
    }

    function test_EscrowItselfIsNoTokenToRescue() public {
        _depositFor(vault, ORDERED);
        vm.expectRevert(bytes(""));
        funding.rescueVault(order, address(escrow));
        vm.assertEq(_free(vault), ORDERED, "the vault's escrow balance");
    }

    function test_OpeningFromAVaultWhoseTokenReentersIsWhole() public {
        ReentrantCoin coin = new ReentrantCoin();
        _escrowOf(coin);
        _use(order);
        coin.mint(vault, ORDERED);
        coin.arm(address(funding), abi.encodeCall(funding.rescueVault, (order, address(coin))));
        funding.openFromVault(order);
        _checkShut(coin);
        _checkOpened(order);
    }

    // ---- single steps ----

    function _use(Order memory order_) private {
        order = order_;
        jobId = escrow.jobIdOf(order_);
        vault = funding.vaultOf(order_);
    }

    function _depositFor(address account, uint96 amount) private {
        usdc.mint(stranger, amount);
        vm.startPrank(stranger);
        usdc.approve(address(escrow), amount);
        escrow.depositFor(account, amount);
        vm.stopPrank();
    }

    function _checkShut(ReentrantCoin coin) private view {
        vm.assertTrue(!coin.succeeded(), "the door was open");
        bytes memory shut =
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.assertEq(keccak256(coin.answer()), keccak256(shut), "what shut the door");
    }

    function _pullFailed(address from, uint256 balance, uint256 allowed)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IFunding.Funding_PullFailed.selector, from, AMOUNT, balance, allowed
        );
    }

    function _tooEarly() private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IFunding.Funding_TooEarly.selector, jobId, order.openBy, block.timestamp
        );
    }

    function _jobKnown() private view returns (bytes memory) {
        return
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobKnown.selector, jobId, uint8(1));
    }
}
