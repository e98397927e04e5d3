// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of vaultOf, openFromVault, rescueVault and of the vault itself.
pragma solidity 0.8.37;

import {IFunding} from "../src/IFunding.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Order} from "../src/Order.sol";
import {Vault} from "../src/Vault.sol";
import {SilentCoin} from "./doubles/LyingTokens.sol";
import {FundingFixture} from "./FundingFixture.sol";

contract VaultTest is FundingFixture {
    Order private order;
    bytes32 private jobId;
    address private vault;

    function setUp() public override {
        super.setUp();
        _use(_dollarOrder());
    }

    // ---- vaultOf ----

    function test_vaultOf_ForetellsWhereTheVaultWillBe() public {
        vm.assertEq(vault.code.length, 0, "nothing there yet");
        usdc.mint(vault, ORDERED);
        funding.openFromVault(order);
        // An ERC-1167 clone.
        bytes memory code = abi.encodePacked(
            hex"363d3d373d3d3d363d73",
            funding.vaultImplementation(),
            hex"5af43d82803e903d91602b57fd5bf3"
        );
        vm.assertEq(keccak256(vault.code), keccak256(code), "the vault's code");
        vm.assertEq(funding.vaultOf(order), vault, "the same afterwards");
    }

    function test_vaultOf_NamesAnotherAddressForOtherTerms() public {
        order.salt = "another";
        vm.assertTrue(funding.vaultOf(order) != vault, "another order");
        order.salt = _dollarOrder().salt;
        vm.chainId(block.chainid + 1);
        vm.assertTrue(funding.vaultOf(order) != vault, "another chain");
    }

    // ---- openFromVault ----

    function test_openFromVault_RefusesToRefundToFunding() public {
        order.refundTo = address(funding);
        _use(order);
        usdc.mint(vault, ORDERED);
        _accountRefused(address(funding));
        funding.openFromVault(order);
    }

    function test_openFromVault_RefusesAnEmptyVault() public {
        _tooLow(0, 0);
        funding.openFromVault(order);
        vm.assertEq(vault.code.length, 0, "nothing was deployed");
    }

    function test_openFromVault_RefusesLessThanTheCapWithTheFigures() public {
        usdc.mint(vault, ORDERED - 1);
        _tooLow(0, ORDERED - 1);
        funding.openFromVault(order);
        vm.assertEq(usdc.balanceOf(vault), ORDERED - 1, "nothing moved");
    }

    function test_openFromVault_RefusesABalanceInTheEscrowThatLacksOneUnit() public {
        _depositForVault(ORDERED - 8);
        usdc.mint(vault, 7);
        _tooLow(ORDERED - 8, 7);
        funding.openFromVault(order);
        vm.assertEq(_free(vault), ORDERED - 8, "nothing moved");
    }

    function test_openFromVault_RefusesFromOpenByOn() public {
        usdc.mint(vault, ORDERED);
        vm.warp(order.openBy);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DeadlinePassed.selector,
                jobId,
                order.openBy,
                order.openBy
            )
        );
        funding.openFromVault(order);
        vm.warp(order.openBy - 1);
        funding.openFromVault(order);
        _checkOpened(order);
    }

    function test_openFromVault_RefusesWhileTheEscrowIsPaused() public {
        usdc.mint(vault, ORDERED);
        _pauseEscrow();
        _failsPaused();
        funding.openFromVault(order);
    }

    function test_openFromVault_RefusesTermsThatTheEscrowRefuses() public {
        order.refundTo = address(0);
        _use(order);
        usdc.mint(vault, ORDERED);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, address(0))
        );
        funding.openFromVault(order);
    }

    function test_openFromVault_RefusesTheSameOrderTwice() public {
        usdc.mint(vault, 2 * ORDERED);
        funding.openFromVault(order);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobKnown.selector, jobId, uint8(1))
        );
        funding.openFromVault(order);
        vm.assertEq(usdc.balanceOf(vault), ORDERED, "the second payment");
    }

    function test_openFromVault_OpensWithTokensByAnyone() public {
        vm.prank(payer);
        usdc.transfer(vault, ORDERED);
        vm.prank(stranger);
        _emitsOpened(order, vault, ORDERED, 0, 1);
        vm.assertEq(funding.openFromVault(order), jobId, "jobId");
        _checkSpent();
    }

    function test_openFromVault_OpensWithABalanceInTheEscrow() public {
        _depositForVault(ORDERED);
        // Not even asked: the token may block the vault.
        usdc.setBlocked(vault, true);
        _emitsOpened(order, vault, 0, 0, 2);
        funding.openFromVault(order);
        _checkSpent();
    }

    function test_openFromVault_OpensWithBothAndSpendsTheBalanceFirst() public {
        _depositForVault(100);
        usdc.mint(vault, ORDERED);
        _emitsOpened(order, vault, ORDERED - 100, 0, 2);
        funding.openFromVault(order);
        _checkOpened(order);
        vm.assertEq(usdc.balanceOf(vault), 100, "what is more");
        vm.assertEq(usdc.allowance(vault, address(escrow)), 0, "allowance");
    }

    function testFuzz_openFromVault_OpensExactlyAndLeavesWhatIsMore(uint96 cap, uint96 more)
        public
    {
        vm.assume(cap != 0 && uint256(cap) + more <= type(uint96).max);
        order.cap = cap;
        _use(order);
        usdc.mint(vault, uint256(cap) + more);
        funding.openFromVault(order);
        _checkOpened(order);
        vm.assertEq(usdc.balanceOf(vault), more, "what is more");
        if (more != 0) funding.rescueVault(order, address(usdc));
        vm.assertEq(usdc.balanceOf(treasury), more, "rescued");
    }

    function test_openFromVault_OpensWithLegacyTokensAndWithTokensThatReturnNothing() public {
        _escrowOf(address(rndr));
        _use(order);
        rndr.mint(vault, ORDERED);
        funding.openFromVault(order);
        _checkOpened(order);
        SilentCoin silent = new SilentCoin();
        _escrowOf(address(silent));
        _use(order);
        silent.mint(vault, ORDERED);
        funding.openFromVault(order);
        _checkOpened(order);
    }

    // ---- rescueVault ----

    function test_rescueVault_RefusesTheEscrowsTokenUntilOpenBy() public {
        usdc.mint(vault, ORDERED);
        _tooEarly();
        funding.rescueVault(order, address(usdc));
        vm.warp(order.openBy - 1);
        _tooEarly();
        funding.rescueVault(order, address(usdc));
    }

    function test_rescueVault_RefusesAnEmptyVault() public {
        vm.warp(order.openBy);
        _nothingIn(address(usdc));
        funding.rescueVault(order, address(usdc));
        _nothingIn(address(rndr));
        funding.rescueVault(order, address(rndr));
        _nothingIn(address(0));
        funding.rescueVault(order, address(0));
        vm.assertEq(vault.code.length, 0, "nothing was deployed");
    }

    function test_rescueVault_RefusesATokenWithoutCode() public {
        _fails(abi.encodeWithSelector(IFunding.Funding_ContractRefused.selector, stranger));
        funding.rescueVault(order, stranger);
    }

    function test_rescueVault_RefusesWhenTheTokenLetsGoOfNothing() public {
        _depositForVault(3);
        usdc.mint(vault, 4);
        vm.warp(order.openBy);
        usdc.setBlocked(treasury, true);
        _rescueFailed(address(usdc), 4, 3);
        funding.rescueVault(order, address(usdc));
        usdc.setBlocked(treasury, false);
        _checkRescue(4, 3);
    }

    function test_rescueVault_SendsTheTokensFromOpenByOn() public {
        usdc.mint(vault, 5);
        vm.warp(order.openBy);
        _checkRescue(5, 0);
    }

    function test_rescueVault_SendsABalanceInTheEscrowFromOpenByOn() public {
        _depositForVault(6);
        vm.warp(order.openBy);
        _emits();
        emit IRenderEscrow.Withdrawn(vault, treasury, 6, 0, 2);
        _checkRescue(0, 6);
    }

    function test_rescueVault_SendsASingleUnitOfEither() public {
        _depositForVault(1);
        vm.warp(order.openBy);
        _checkRescue(0, 1);
        usdc.mint(vault, 1);
        _checkRescue(1, 0);
    }

    function test_rescueVault_SendsBothParts() public {
        _depositForVault(6);
        usdc.mint(vault, 5);
        vm.warp(order.openBy);
        vm.prank(stranger);
        _checkRescue(5, 6);
    }

    function test_rescueVault_SendsWhatIsMoreOnceTheJobIsOpen() public {
        usdc.mint(vault, ORDERED + 9);
        funding.openFromVault(order);
        _checkRescue(9, 0);
        _checkOpened(order);
    }

    function test_rescueVault_SendsWhatArrivesAfterTheJobWasClosed() public {
        usdc.mint(vault, ORDERED);
        funding.openFromVault(order);
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        escrow.close(order, "", "");
        usdc.mint(vault, 11);
        _checkRescue(11, 0);
        vm.assertEq(_free(treasury), ORDERED, "what the job gave back");
    }

    function test_rescueVault_SendsTheTokensWhenTheJobWasOpenedAnotherWay() public {
        usdc.mint(vault, ORDERED);
        funding.openWith(order, _byAuthorization(order));
        _checkRescue(ORDERED, 0);
    }

    function test_rescueVault_SendsOtherTokensAtAnyTime() public {
        usdc.mint(vault, ORDERED);
        rndr.mint(vault, 12);
        (uint256 sent, uint256 withdrawn) = funding.rescueVault(order, address(rndr));
        vm.assertEq(sent, 12, "sent");
        vm.assertEq(withdrawn, 0, "withdrawn");
        vm.assertEq(rndr.balanceOf(treasury), 12, "the wrong tokens");
        // The vault is deployed now, and opens as before.
        funding.openFromVault(order);
        _checkOpened(order);
    }

    function test_rescueVault_SendsNativeCurrencyAtAnyTime() public {
        vm.deal(vault, 13);
        (uint256 sent, uint256 withdrawn) = funding.rescueVault(order, address(0));
        vm.assertEq(sent, 13, "sent");
        vm.assertEq(withdrawn, 0, "withdrawn");
        vm.assertEq(treasury.balance, 13, "the native currency");
    }

    function test_rescueVault_KeepsNativeCurrencyThatTheReceiverRefuses() public {
        order.refundTo = address(usdc);
        _use(order);
        vm.deal(vault, 13);
        _rescueFailed(address(0), 13, 0);
        funding.rescueVault(order, address(0));
        vm.assertEq(vault.balance, 13, "still there");
    }

    function test_rescueVault_SendsTokensThatReturnNothing() public {
        SilentCoin silent = new SilentCoin();
        silent.mint(vault, 14);
        (uint256 sent,) = funding.rescueVault(order, address(silent));
        vm.assertEq(sent, 14, "sent");
        vm.assertEq(silent.balanceOf(treasury), 14, "the tokens");
    }

    function test_rescueVault_SendsWhileTheEscrowIsPaused() public {
        _depositForVault(6);
        usdc.mint(vault, 5);
        vm.warp(order.openBy);
        _pauseEscrow();
        _checkRescue(5, 6);
    }

    function test_rescueVault_SendsTheBalanceWhenTheTokenBlocksTheVault() public {
        _depositForVault(6);
        usdc.mint(vault, 5);
        vm.warp(order.openBy);
        usdc.setBlocked(vault, true);
        _checkRescue(0, 6);
        usdc.setBlocked(vault, false);
        usdc.setBlocked(address(escrow), true);
        (uint256 sent, uint256 withdrawn) = funding.rescueVault(order, address(usdc));
        vm.assertEq(sent, 5, "the rest later");
        vm.assertEq(withdrawn, 0, "no balance any more");
    }

    function test_rescueVault_SendsTheTokensWhenTheTokenBlocksTheEscrow() public {
        _depositForVault(6);
        usdc.mint(vault, 5);
        vm.warp(order.openBy);
        usdc.setBlocked(address(escrow), true);
        _checkRescue(5, 0);
        vm.assertEq(_free(vault), 6, "the balance waits");
    }

    // ---- itself ----

    function test_itself_ObeysFundingAlone() public {
        usdc.mint(vault, 2 * ORDERED);
        funding.openFromVault(order);
        address[2] memory both = [vault, funding.vaultImplementation()];
        for (uint256 i = 0; i < 2; ++i) {
            vm.startPrank(payer);
            _callerRefusedByVault(payer);
            Vault(both[i]).open(order);
            _callerRefusedByVault(payer);
            Vault(both[i]).rescue(address(usdc), payer);
            vm.stopPrank();
        }
    }

    function test_itself_TakesNoNativeCurrencyOnceItHasCode() public {
        usdc.mint(vault, ORDERED);
        funding.openFromVault(order);
        vm.deal(address(this), 1);
        (bool taken,) = vault.call{value: 1}("");
        vm.assertTrue(!taken, "it has no way to say no later");
    }

    // ---- single steps ----

    function _use(Order memory order_) private {
        order = order_;
        jobId = escrow.jobIdOf(order_);
        vault = funding.vaultOf(order_);
    }

    function _depositForVault(uint96 amount) private {
        usdc.mint(stranger, amount);
        vm.startPrank(stranger);
        usdc.approve(address(escrow), amount);
        escrow.depositFor(vault, amount);
        vm.stopPrank();
    }

    /// By the vault's own figures, the receiver's, and what the call answers.
    function _checkRescue(uint256 sent, uint256 withdrawn) private {
        uint256 held = usdc.balanceOf(vault);
        uint256 free = _free(vault);
        uint256 before = usdc.balanceOf(treasury);
        (uint256 isSent, uint256 isWithdrawn) = funding.rescueVault(order, address(usdc));
        vm.assertEq(isSent, sent, "sent");
        vm.assertEq(isWithdrawn, withdrawn, "withdrawn");
        vm.assertEq(usdc.balanceOf(vault), held - sent, "tokens of the vault");
        vm.assertEq(_free(vault), free - withdrawn, "escrow balance of the vault");
        vm.assertEq(usdc.balanceOf(treasury), before + sent + withdrawn, "refundTo");
    }

    function _checkSpent() private view {
        _checkOpened(order);
        vm.assertEq(usdc.balanceOf(vault), 0, "tokens of the vault");
        vm.assertEq(_free(vault), 0, "escrow balance of the vault");
        vm.assertEq(usdc.allowance(vault, address(escrow)), 0, "allowance");
        _checkNothingKept();
    }

    function _tooLow(uint256 free, uint256 held) private {
        _fails(
            abi.encodeWithSelector(
                IFunding.Funding_VaultTooLow.selector, vault, ORDERED, free, held
            )
        );
    }

    function _tooEarly() private {
        _fails(
            abi.encodeWithSelector(
                IFunding.Funding_TooEarly.selector, jobId, order.openBy, block.timestamp
            )
        );
    }

    function _nothingIn(address token) private {
        _fails(abi.encodeWithSelector(IFunding.Funding_NothingToRescue.selector, vault, token));
    }

    function _rescueFailed(address token, uint256 held, uint256 free) private {
        _fails(
            abi.encodeWithSelector(
                IFunding.Funding_RescueFailed.selector, vault, token, held, free
            )
        );
    }

    function _callerRefusedByVault(address caller) private {
        _fails(abi.encodeWithSelector(IFunding.Funding_CallerRefused.selector, caller, funding));
    }
}
