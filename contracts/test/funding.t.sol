// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of the deposits by signature and of openWith.
pragma solidity 0.8.37;

import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Funding} from "../src/Funding.sol";
import {IFunding} from "../src/IFunding.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Order} from "../src/Order.sol";
import {FeeCoin, LooseCoin} from "./doubles/LyingTokens.sol";
import {Permit2Like} from "./doubles/Proxies.sol";
import {UsdcLike} from "./doubles/UsdcLike.sol";
import {OwnedWallet, WordWallet} from "./doubles/Wallets.sol";
import {FundingFixture} from "./FundingFixture.sol";

contract FundingTest is FundingFixture {
    uint96 private constant AMOUNT = 40 * DOLLAR;

    // ---- constructor ----

    function test_constructor_RefusesAnEscrowWithoutCode() public {
        _contractRefused(stranger);
        new Funding(stranger, PERMIT2);
    }

    function test_constructor_RefusesAPermit2WithoutCode() public {
        _contractRefused(stranger);
        new Funding(address(escrow), stranger);
    }

    function test_constructor_KeepsWhatItWasGiven() public {
        vm.assertEq(funding.escrow(), address(escrow), "escrow");
        vm.assertEq(funding.token(), address(usdc), "token");
        vm.assertEq(funding.permit2(), PERMIT2, "permit2");
        vm.assertTrue(funding.vaultImplementation().code.length != 0, "the vaults' code");
        vm.assertEq(new Funding(address(escrow), address(0)).permit2(), address(0), "no permit2");
    }

    // ---- depositWithPermit ----

    function test_depositWithPermit_RefusesItsOwnAccount() public {
        _permitRefused(
            address(funding),
            AMOUNT,
            AMOUNT,
            abi.encodeWithSelector(IFunding.Funding_AccountRefused.selector, funding)
        );
    }

    function test_depositWithPermit_RefusesAZeroAmount() public {
        bytes4 refused = IRenderEscrow.RenderEscrow_AmountZero.selector;
        _permitRefused(payer, 0, 0, abi.encodeWithSelector(refused));
    }

    function test_depositWithPermit_RefusesTheAccountsThatTheEscrowRefuses() public {
        bytes4 refused = IRenderEscrow.RenderEscrow_AccountRefused.selector;
        bytes memory zero = abi.encodeWithSelector(refused, address(0));
        _permitRefused(address(0), AMOUNT, AMOUNT, zero);
        bytes memory itself = abi.encodeWithSelector(refused, escrow);
        _permitRefused(address(escrow), AMOUNT, AMOUNT, itself);
    }

    function test_depositWithPermit_RefusesABadPermitWithoutAnAllowanceWithTheFigures() public {
        _permitRefused(payer, AMOUNT, AMOUNT + 1, _pullFailed(AMOUNT, DOLLARS, 0));
        vm.prank(payer);
        usdc.approve(address(funding), AMOUNT - 1);
        _permitRefused(payer, AMOUNT, AMOUNT + 1, _pullFailed(AMOUNT, DOLLARS, AMOUNT - 1));
    }

    function test_depositWithPermit_RefusesMoreThanTheBalanceWithTheFigures() public {
        bytes memory failed = _pullFailed(DOLLARS + 1, DOLLARS, DOLLARS + 1);
        _permitRefused(payer, DOLLARS + 1, DOLLARS + 1, failed);
    }

    function test_depositWithPermit_RefusesWhileTheEscrowIsPaused() public {
        _pauseEscrow();
        _permitRefused(payer, AMOUNT, AMOUNT, _isPaused());
    }

    function test_depositWithPermit_CreditsTheNamedAccountWithTheCallersTokens() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(PAYER_KEY, address(funding), AMOUNT);
        _emits();
        emit IRenderEscrow.Deposited(node, address(funding), AMOUNT, AMOUNT, 1);
        vm.prank(payer);
        funding.depositWithPermit(node, AMOUNT, VALID_BEFORE, v, r, s);
        _checkDeposited(node, AMOUNT);
    }

    function test_depositWithPermit_TakesTheAllowanceWhenThePermitWasUsedBefore() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(PAYER_KEY, address(funding), AMOUNT);
        vm.prank(stranger);
        usdc.permit(payer, address(funding), AMOUNT, VALID_BEFORE, v, r, s);
        vm.prank(payer);
        funding.depositWithPermit(payer, AMOUNT, VALID_BEFORE, v, r, s);
        _checkDeposited(payer, AMOUNT);
    }

    function test_depositWithPermit_TakesTheAllowanceOfATokenWithoutPermits() public {
        _escrowOf(address(rndr));
        vm.startPrank(payer);
        rndr.approve(address(funding), AMOUNT);
        funding.depositWithPermit(payer, AMOUNT, 0, 0, 0, 0);
        _checkAccount(payer, AMOUNT, 1);
        vm.assertEq(rndr.allowance(payer, address(funding)), 0, "the payer's allowance");
        vm.assertEq(rndr.allowance(address(funding), address(escrow)), 0, "Funding's allowance");
        vm.assertEq(rndr.balanceOf(address(funding)), 0, "tokens of Funding");
    }

    // ---- depositWithAuthorization ----

    function test_depositWithAuthorization_RefusesItsOwnAccount() public {
        bytes memory word = _authorizes(AMOUNT, address(funding));
        _accountRefused(address(funding));
        _depositAuthorized(address(funding), AMOUNT, word);
    }

    function test_depositWithAuthorization_RefusesAZeroAmount() public {
        bytes memory word = _authorizes(0, payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        _depositAuthorized(payer, 0, word);
    }

    function test_depositWithAuthorization_RefusesItBeforeAndAfterItsTime() public {
        bytes memory word = _authorizes(AMOUNT, payer);
        bytes memory refused = abi.encodeWithSelector(
            ERC3009.ERC3009InvalidAuthorizationTime.selector, VALID_AFTER, VALID_BEFORE
        );
        vm.warp(VALID_AFTER);
        _fails(refused);
        _depositAuthorized(payer, AMOUNT, word);
        vm.warp(VALID_BEFORE);
        _fails(refused);
        _depositAuthorized(payer, AMOUNT, word);
        vm.warp(VALID_BEFORE - 1);
        _depositAuthorized(payer, AMOUNT, word);
        _checkDeposited(payer, AMOUNT);
    }

    function test_depositWithAuthorization_RefusesItTwice() public {
        bytes memory word = _authorizes(AMOUNT, payer);
        _depositAuthorized(payer, AMOUNT, word);
        bytes32 nonce = keccak256(abi.encode(payer, bytes32(0), SALT));
        _fails(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, payer, nonce));
        _depositAuthorized(payer, AMOUNT, word);
    }

    function test_depositWithAuthorization_RefusesABlockedPayer() public {
        bytes memory word = _authorizes(AMOUNT, payer);
        usdc.setBlocked(payer, true);
        _fails(abi.encodeWithSelector(UsdcLike.Blocked.selector, payer));
        _depositAuthorized(payer, AMOUNT, word);
    }

    function test_depositWithAuthorization_RefusesATokenThatMovesNothing() public {
        LooseCoin loose = new LooseCoin();
        _escrowOf(loose);
        // Somebody's gift would pay for it otherwise.
        loose.mint(address(funding), AMOUNT);
        _pullInexact(AMOUNT, AMOUNT);
        _depositAuthorized(payer, AMOUNT, new bytes(65));
    }

    function test_depositWithAuthorization_RefusesATokenThatMovesLessOrMore() public {
        LooseCoin loose = new LooseCoin();
        _escrowOf(loose);
        loose.setMoves(AMOUNT - 1);
        _pullInexact(0, AMOUNT - 1);
        _depositAuthorized(payer, AMOUNT, new bytes(65));
        loose.setMoves(AMOUNT + 1);
        _pullInexact(0, AMOUNT + 1);
        _depositAuthorized(payer, AMOUNT, new bytes(65));
        loose.setMoves(AMOUNT);
        _depositAuthorized(payer, AMOUNT, new bytes(65));
        _checkAccount(payer, AMOUNT, 1);
    }

    function test_depositWithAuthorization_RefusesWhileTheEscrowIsPaused() public {
        bytes memory word = _authorizes(AMOUNT, payer);
        _pauseEscrow();
        _failsPaused();
        _depositAuthorized(payer, AMOUNT, word);
    }

    function test_depositWithAuthorization_CreditsTheNamedAccount() public {
        bytes memory word = _authorizes(AMOUNT, node);
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Deposited(node, address(funding), AMOUNT, AMOUNT, 1);
        _depositAuthorized(node, AMOUNT, word);
        _checkDeposited(node, AMOUNT);
    }

    function testFuzz_depositWithAuthorization_CreditsExactly(uint96 amount, address account)
        public
    {
        vm.assume(amount != 0 && account != address(0));
        vm.assume(account != address(escrow) && account != address(funding));
        usdc.mint(payer, amount);
        _depositAuthorized(account, amount, _authorizes(amount, account));
        _checkAccount(account, amount, 1);
        vm.assertEq(usdc.balanceOf(payer), DOLLARS, "what the payer has left");
        _checkNothingKept();
    }

    function test_depositWithAuthorization_TakesThe65BytesOfAContractWallet() public {
        OwnedWallet wallet = new OwnedWallet(payer);
        _depositOfWallet(
            address(wallet), _authorization(PAYER_KEY, address(wallet), AMOUNT, node, 0)
        );
    }

    function test_depositWithAuthorization_TakesOtherBytesOfAContractWallet() public {
        bytes[3] memory words = [bytes("as long as it likes"), new bytes(64), new bytes(66)];
        for (uint256 i = 0; i < words.length; ++i) {
            _depositOfWallet(address(new WordWallet(words[i])), words[i]);
        }
    }

    // ---- depositWithPermit2 ----

    function test_depositWithPermit2_RefusesWhereThereIsNoPermit2() public {
        funding = new Funding(address(escrow), address(0));
        bytes memory word = _permits(AMOUNT, payer);
        _fails(abi.encodeWithSelector(IFunding.Funding_NoPermit2.selector));
        _depositPermitted(payer, AMOUNT, word);
    }

    function test_depositWithPermit2_RefusesItsOwnAccount() public {
        bytes memory word = _permits(AMOUNT, address(funding));
        _accountRefused(address(funding));
        _depositPermitted(address(funding), AMOUNT, word);
    }

    function test_depositWithPermit2_RefusesAZeroAmount() public {
        bytes memory word = _permits(0, payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AmountZero.selector));
        _depositPermitted(payer, 0, word);
    }

    function test_depositWithPermit2_RefusesAPassedDeadline() public {
        bytes memory word = _permits(AMOUNT, payer);
        vm.warp(VALID_BEFORE + 1);
        _fails(abi.encodeWithSelector(Permit2Like.SignatureExpired.selector, VALID_BEFORE));
        _depositPermitted(payer, AMOUNT, word);
        vm.warp(VALID_BEFORE);
        _depositPermitted(payer, AMOUNT, word);
        _checkDeposited(payer, AMOUNT);
    }

    function test_depositWithPermit2_RefusesItTwice() public {
        bytes memory word = _permits(AMOUNT, payer);
        _depositPermitted(payer, AMOUNT, word);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidNonce.selector));
        _depositPermitted(payer, AMOUNT, word);
    }

    function test_depositWithPermit2_RefusesAnotherAmountThanWasSigned() public {
        bytes memory word = _permits(AMOUNT, payer);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        _depositPermitted(payer, AMOUNT - 1, word);
        _fails(abi.encodeWithSelector(Permit2Like.InvalidSigner.selector));
        _depositPermitted(payer, AMOUNT + 1, word);
    }

    function test_depositWithPermit2_RefusesATokenThatKeepsAFee() public {
        FeeCoin fee = new FeeCoin();
        _escrowOf(fee);
        vm.prank(payer);
        fee.approve(PERMIT2, AMOUNT);
        bytes memory word = _permits(AMOUNT, payer);
        _pullInexact(0, AMOUNT - AMOUNT / 100);
        _depositPermitted(payer, AMOUNT, word);
    }

    function test_depositWithPermit2_RefusesWhileTheEscrowIsPaused() public {
        bytes memory word = _permits(AMOUNT, payer);
        _pauseEscrow();
        _failsPaused();
        _depositPermitted(payer, AMOUNT, word);
    }

    function test_depositWithPermit2_CreditsTheNamedAccount() public {
        bytes memory word = _permits(AMOUNT, node);
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Deposited(node, address(funding), AMOUNT, AMOUNT, 1);
        _depositPermitted(node, AMOUNT, word);
        _checkDeposited(node, AMOUNT);
    }

    function test_depositWithPermit2_TakesTheWordOfAContractWallet() public {
        OwnedWallet wallet = new OwnedWallet(payer);
        usdc.mint(address(wallet), AMOUNT);
        wallet.run(address(usdc), abi.encodeCall(usdc.approve, (PERMIT2, AMOUNT)));
        bytes memory word = _permits(AMOUNT, node);
        funding.depositWithPermit2(address(wallet), node, AMOUNT, NONCE, VALID_BEFORE, word);
        _checkAccount(node, AMOUNT, 1);
        _checkNothingKept();
    }

    // ---- openWith ----

    function test_openWith_RefusesAnEmptyPayload() public {
        _fails(abi.encodeWithSelector(IFunding.Funding_PayloadUnknown.selector, bytes("")));
        funding.openWith(_dollarOrder(), "");
    }

    function test_openWith_RefusesAnUnknownKind() public {
        _fails(abi.encodeWithSelector(IFunding.Funding_PayloadUnknown.selector, hex"00aa"));
        funding.openWith(_dollarOrder(), hex"00aa");
        _fails(abi.encodeWithSelector(IFunding.Funding_PayloadUnknown.selector, hex"03"));
        funding.openWith(_dollarOrder(), hex"03");
    }

    function test_openWith_RefusesToRefundToItself() public {
        Order memory order = _dollarOrder();
        order.refundTo = address(funding);
        bytes memory payload = _byAuthorization(order);
        _accountRefused(address(funding));
        funding.openWith(order, payload);
    }

    function test_openWith_RefusesFromOpenByOn() public {
        Order memory order = _dollarOrder();
        bytes memory payload = _byPermit2(order);
        vm.warp(order.openBy);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DeadlinePassed.selector,
                escrow.jobIdOf(order),
                order.openBy,
                order.openBy
            )
        );
        funding.openWith(order, payload);
        vm.warp(order.openBy - 1);
        funding.openWith(order, payload);
        _checkOpened(order);
    }

    function test_openWith_RefusesWhileTheEscrowIsPaused() public {
        Order memory order = _dollarOrder();
        bytes memory payload = _byAuthorization(order);
        _pauseEscrow();
        _failsPaused();
        funding.openWith(order, payload);
    }

    function test_openWith_OpensByAuthorization() public {
        Order memory order = _dollarOrder();
        _checkOpens(order, _byAuthorization(order));
    }

    function test_openWith_OpensByPermit2() public {
        Order memory order = _dollarOrder();
        _checkOpens(order, _byPermit2(order));
    }

    function test_openWith_OpensForAContractWallet() public {
        WordWallet wallet = new WordWallet("as long as it likes");
        usdc.mint(address(wallet), ORDERED);
        Order memory order = _dollarOrder();
        order.payer = address(wallet);
        funding.openWith(order, _authorized("as long as it likes"));
        _checkOpened(order);
        _checkNothingKept();
    }

    function test_openWith_KeepsAGiftAsAGiftWhenItIsLessThanTheCap() public {
        _give(7);
        Order memory order = _dollarOrder();
        bytes memory payload = _byAuthorization(order);
        _emitsOpened(order, address(funding), ORDERED - 7, 0, 2);
        funding.openWith(order, payload);
        _checkGift(7, 0);
    }

    function test_openWith_KeepsAGiftAsAGiftWhenItCoversTheCap() public {
        _give(ORDERED + 7);
        Order memory order = _dollarOrder();
        bytes memory payload = _byPermit2(order);
        _emitsOpened(order, address(funding), 0, 7, 2);
        funding.openWith(order, payload);
        _checkGift(ORDERED, 7);
    }

    // ---- answers ----

    function test_answers_GivesTheNonceAndTheWitnessToSign() public view {
        bytes32 nonce = keccak256(abi.encode(node, KEY, SALT));
        vm.assertEq(funding.authorizationNonce(node, KEY, SALT), nonce, "nonce");
        bytes32 kind = keccak256("Witness(address account,bytes32 jobId)");
        bytes32 witness = keccak256(abi.encode(kind, node, KEY));
        vm.assertEq(funding.permit2Witness(node, KEY), witness, "witness");
    }

    // ---- single steps ----

    function _contractRefused(address given) private {
        _fails(abi.encodeWithSelector(IFunding.Funding_ContractRefused.selector, given));
    }

    function _pullFailed(uint256 amount, uint256 balance, uint256 allowed)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IFunding.Funding_PullFailed.selector, payer, amount, balance, allowed
        );
    }

    function _pullInexact(uint256 before, uint256 afterwards) private {
        _fails(
            abi.encodeWithSelector(
                IFunding.Funding_PullInexact.selector, AMOUNT, before, afterwards
            )
        );
    }

    /// `signed` is the amount of the permit.
    function _permitRefused(address account, uint96 amount, uint256 signed, bytes memory failure)
        private
    {
        (uint8 v, bytes32 r, bytes32 s) = _permit(PAYER_KEY, address(funding), signed);
        vm.prank(payer);
        _fails(failure);
        funding.depositWithPermit(account, amount, VALID_BEFORE, v, r, s);
    }

    function _authorizes(uint96 amount, address account) private view returns (bytes memory) {
        return _authorization(PAYER_KEY, payer, amount, account, 0);
    }

    function _permits(uint96 amount, address account) private view returns (bytes memory) {
        return _permit2(PAYER_KEY, amount, account, 0);
    }

    function _depositOfWallet(address wallet, bytes memory signature) private {
        usdc.mint(wallet, AMOUNT);
        uint256 before = _free(node);
        funding.depositWithAuthorization(
            wallet, node, AMOUNT, VALID_AFTER, VALID_BEFORE, SALT, signature
        );
        vm.assertEq(_free(node), before + AMOUNT, "the account's balance");
        vm.assertEq(usdc.balanceOf(wallet), 0, "the wallet's tokens");
        _checkNothingKept();
    }

    function _checkDeposited(address account, uint96 amount) private view {
        _checkAccount(account, amount, 1);
        vm.assertEq(usdc.balanceOf(payer), DOLLARS - amount, "what the payer has left");
        vm.assertEq(usdc.allowance(payer, address(funding)), 0, "the payer's allowance");
        _checkNothingKept();
    }

    function _checkOpens(Order memory order, bytes memory payload) private {
        vm.prank(stranger);
        _emitsOpened(order, address(funding), ORDERED, 0, 1);
        bytes32 jobId = funding.openWith(order, payload);
        vm.assertEq(jobId, escrow.jobIdOf(order), "jobId");
        _checkOpened(order);
        vm.assertEq(usdc.balanceOf(payer), DOLLARS - ORDERED, "what the payer has left");
        _checkNothingKept();
    }

    function _give(uint96 amount) private {
        usdc.mint(stranger, amount);
        vm.startPrank(stranger);
        usdc.approve(address(escrow), amount);
        escrow.depositFor(address(funding), amount);
        vm.stopPrank();
    }

    /// The payer paid the cap and the job has it; the gift is what is still there.
    function _checkGift(uint256 held, uint256 free) private view {
        _checkOpened(_dollarOrder());
        vm.assertEq(usdc.balanceOf(payer), DOLLARS - ORDERED, "what the payer has left");
        vm.assertEq(usdc.balanceOf(address(funding)), held, "tokens of Funding");
        vm.assertEq(_free(address(funding)), free, "escrow balance of Funding");
        vm.assertEq(usdc.allowance(address(funding), address(escrow)), 0, "allowance");
    }
}
