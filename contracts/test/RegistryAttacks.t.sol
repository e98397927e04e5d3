// SPDX-License-Identifier: MIT OR Apache-2.0
// Each known attack on a node's bond, its owner or a reporter, and tokens that lie to the registry.
pragma solidity 0.8.37;

import {INodeRegistry} from "../src/INodeRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {Receipt} from "../src/Order.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {LegacyRndr} from "./doubles/LegacyRndr.sol";
import {
    Coin,
    FalseCoin,
    FeeCoin,
    GenerousCoin,
    ReentrantCoin,
    SilentCoin,
    ThievingCoin
} from "./doubles/LyingTokens.sol";
import {YesWallet} from "./doubles/Wallets.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract RegistryAttacksTest is RegistryFixture {
    Receipt private first = _receipt("one");
    Receipt private second = _receipt("two");

    // ---- registration ----

    function test_RegistrationCopiedFromTheMempoolIsWorthNothing() public {
        bytes memory word = _consent(SIGNER_KEY, owner, signer, node, CAN);
        _registrationRefused(_registration(stranger, signer, node, CAN), signer);
        vm.prank(stranger);
        registry.register(signer, node, CAN, word);
    }

    function test_RegistrationBindsPayoutAndCapabilities() public {
        bytes memory word = _consent(SIGNER_KEY, owner, signer, node, CAN);
        _registrationRefused(_registration(owner, signer, otherNode, CAN), signer);
        vm.prank(owner);
        registry.register(signer, otherNode, CAN, word);
        _registrationRefused(_registration(owner, signer, node, "more"), signer);
        vm.prank(owner);
        registry.register(signer, node, "more", word);
    }

    function test_RegistrationIsNotReplayedEvenAfterAllWasWithdrawn() public {
        bytes memory word = _consent(SIGNER_KEY, owner, signer, node, CAN);
        vm.prank(owner);
        registry.register(signer, node, CAN, word);
        _bond(BOND);
        _unbond(BOND);
        vm.warp(START + DELAY);
        vm.startPrank(owner);
        registry.withdrawBond(signer, owner);
        _signerKnown();
        registry.register(signer, node, CAN, word);
        vm.stopPrank();
        word = _consent(SIGNER_KEY, stranger, signer, node, CAN);
        _signerKnown();
        vm.prank(stranger);
        registry.register(signer, node, CAN, word);
    }

    function test_RegistrationOfAnotherChainIsRefused() public {
        bytes memory word = _consent(SIGNER_KEY, owner, signer, node, CAN);
        vm.chainId(block.chainid + 1);
        _registrationRefused(_registration(owner, signer, node, CAN), signer);
        vm.prank(owner);
        registry.register(signer, node, CAN, word);
    }

    function test_RegistrationForAnotherRegistryIsRefused() public {
        bytes memory word = _consent(SIGNER_KEY, owner, signer, node, CAN);
        registry = new NodeRegistry(address(escrow));
        _registrationRefused(_registration(owner, signer, node, CAN), signer);
        vm.prank(owner);
        registry.register(signer, node, CAN, word);
    }

    function test_HighSRegistrationIsRefused() public {
        bytes32 digest = _registration(owner, signer, node, CAN);
        bytes memory word = _highS(SIGNER_KEY, digest);
        _registrationRefused(digest, signer);
        vm.prank(owner);
        registry.register(signer, node, CAN, word);
    }

    function test_ContractWalletIsNoSigner() public {
        address wallet = address(new YesWallet());
        _registrationRefused(_registration(owner, wallet, node, CAN), wallet);
        vm.prank(owner);
        registry.register(wallet, node, CAN, hex"01");
    }

    // ---- dodging a slash ----

    function test_UnbondingBeforeTheReportSavesNothing() public {
        _register();
        _bond(BOND);
        _unbond(BOND);
        vm.warp(START + DELAY - 1);
        _slashedBy(stranger, BOND);
    }

    function test_MoneyThatIsDueAndNotWithdrawnIsSlashed() public {
        _register();
        _bond(BOND);
        _unbond(BOND);
        vm.warp(START + 10 * DELAY);
        _slashedBy(stranger, BOND);
        _fails(
            abi.encodeWithSelector(INodeRegistry.NodeRegistry_NothingUnbonding.selector, signer)
        );
        vm.prank(owner);
        registry.withdrawBond(signer, owner);
    }

    function test_WithdrawingAndBondingAgainShedsNoOldProof() public {
        _register();
        _bond(BOND);
        _unbond(BOND);
        vm.warp(START + DELAY);
        vm.prank(owner);
        registry.withdrawBond(signer, owner);
        _bond(7);
        _slashedBy(stranger, 7);
    }

    function test_NewPayoutSavesNothing() public {
        _register();
        _bond(BOND);
        vm.prank(owner);
        registry.update(signer, otherNode, "");
        _slashedBy(stranger, BOND);
    }

    function test_CodeAtTheSignersAddressDeniesNothing() public {
        _register();
        _bond(BOND);
        // As EIP-7702 lets the signer do after it signed.
        vm.etch(signer, hex"60006000fd");
        _slashedBy(stranger, BOND);
    }

    function test_NodeThatReportsItselfLosesHalf() public {
        _register();
        _bond(BOND);
        _slashedBy(owner, BOND);
        vm.assertEq(rndr.balanceOf(owner), WEALTH - 51, "the owner's tokens");
    }

    function test_CopiedReportIsRewardedOnce() public {
        _register();
        _bond(BOND);
        _slashedBy(stranger, BOND);
        _barred();
        vm.prank(payer);
        this.report();
        _endow(payer);
        _barred();
        vm.prank(payer);
        registry.bond(signer, 1);
    }

    // ---- false reports ----

    function test_ReceiptsOfAnotherChainProveNothing() public {
        _register();
        _bond(BOND);
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _receiptBy(SIGNER_KEY, second);
        vm.chainId(block.chainid + 1);
        _provesNothing(one, two);
    }

    function test_ReceiptsForAnotherEscrowProveNothing() public {
        _register();
        _bond(BOND);
        RenderEscrow ours = escrow;
        escrow = new RenderEscrow(address(rndr), issuer, guardian);
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _receiptBy(SIGNER_KEY, second);
        escrow = ours;
        _provesNothing(one, two);
    }

    function test_HighSReceiptProvesNothing() public {
        _register();
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _highS(SIGNER_KEY, _digest(this.hashReceipt(second)));
        _receiptRefused(second);
        registry.slash(first, one, second, two);
    }

    function test_64ByteReceiptProvesNothing() public {
        _register();
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, _digest(this.hashReceipt(second)));
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        _receiptRefused(second);
        registry.slash(first, one, second, abi.encodePacked(r, vs));
    }

    function test_OneSignatureTwiceProvesNothing() public {
        _register();
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        // The first receipt's signature, read as one of the second, is some other key's.
        address other = _recover(second, one);
        vm.assertTrue(other != signer, "another key");
        _signersDiffer(signer, other);
        registry.slash(first, one, second, one);
    }

    function test_AnotherNodesReceiptIsNobodysFault() public {
        _register();
        _bond(BOND);
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _receiptBy(OTHER_KEY, second);
        _signersDiffer(signer, vm.addr(OTHER_KEY));
        registry.slash(first, one, second, two);
        _checkNode(BOND, 0, 0, 2);
    }

    // ---- others' money ----

    function test_NobodysAllowanceIsPulledByAnother() public {
        _register();
        vm.prank(stranger);
        rndr.approve(address(registry), 1);
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_PullFailed.selector, stranger, 1, 0, 1
            )
        );
        vm.prank(stranger);
        registry.bond(signer, 1);
        vm.assertEq(rndr.balanceOf(owner), WEALTH, "the owner's tokens");
    }

    function test_DonationIsNobodysBond() public {
        _register();
        _bond(BOND);
        rndr.mint(address(registry), 5);
        _slashedBy(stranger, BOND);
        vm.assertEq(rndr.balanceOf(address(registry)), 5, "the donation");
    }

    // ---- tokens ----

    function test_TokensThatMoveAnotherAmountAreRefused() public {
        _inexact(new FeeCoin(), 0, 99);
        _inexact(new GenerousCoin(), 0, 101);
        ThievingCoin thief = new ThievingCoin();
        _use(address(thief));
        thief.mint(address(registry), 10);
        _inexactBond(10, 5);
    }

    function test_TokenThatReturnsFalseIsRefusedBothWays() public {
        FalseCoin coin = new FalseCoin();
        _use(address(coin));
        coin.mint(owner, BOND);
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_PullFailed.selector, owner, BOND, BOND, BOND
            )
        );
        _bond(BOND);
        coin.setHonest(true);
        _bond(BOND);
        _unbond(40);
        vm.warp(START + DELAY);
        coin.setHonest(false);
        _sendFailed(owner, 40);
        vm.prank(owner);
        registry.withdrawBond(signer, owner);
        _sendFailed(DEAD, 51);
        this.report();
    }

    function test_TokenThatReturnsNothingIsTaken() public {
        SilentCoin coin = new SilentCoin();
        _use(address(coin));
        coin.mint(owner, BOND);
        _bond(BOND);
        vm.assertEq(coin.balanceOf(address(registry)), BOND, "tokens held");
    }

    function test_TokenThatReentersGetsNothing() public {
        ReentrantCoin coin = new ReentrantCoin();
        _use(address(coin));
        coin.mint(owner, 2 * BOND);
        _bond(BOND);
        _unbond(40);
        vm.warp(START + DELAY);
        bytes memory report_ = abi.encodeCall(
            registry.slash,
            (first, _receiptBy(SIGNER_KEY, first), second, _receiptBy(SIGNER_KEY, second))
        );
        coin.arm(address(registry), report_);
        vm.prank(owner);
        registry.withdrawBond(signer, owner);
        _wasRefused(coin);
        coin.arm(address(registry), abi.encodeCall(registry.bond, (signer, 1)));
        vm.prank(owner);
        coin.approve(address(registry), BOND);
        _bond(1);
        _wasRefused(coin);
        coin.arm(address(registry), abi.encodeCall(registry.withdrawBond, (signer, owner)));
        this.report();
        _wasRefused(coin);
        vm.assertEq(coin.balanceOf(address(registry)), 0, "tokens held");
    }

    // ---- parts ----

    /// Signs before the call that is expected to fail.
    function report() external {
        registry.slash(
            first, _receiptBy(SIGNER_KEY, first), second, _receiptBy(SIGNER_KEY, second)
        );
    }

    function _slashedBy(address reporter, uint256 lost) private {
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _receiptBy(SIGNER_KEY, second);
        uint256 had = rndr.balanceOf(reporter);
        vm.prank(reporter);
        registry.slash(first, one, second, two);
        vm.assertEq(rndr.balanceOf(reporter) - had, lost / 2, "rewarded");
        vm.assertEq(rndr.balanceOf(DEAD), lost - lost / 2, "burned");
        vm.assertEq(_state(signer).bonded + _state(signer).unbonding, 0, "left");
    }

    function _provesNothing(bytes memory one, bytes memory two) private {
        _signersDiffer(_recover(first, one), _recover(second, two));
        registry.slash(first, one, second, two);
        _checkNode(BOND, 0, 0, 2);
    }

    function _recover(Receipt memory receipt, bytes memory word) private view returns (address) {
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(word, 0x20))
            s := mload(add(word, 0x40))
        }
        return ecrecover(_digest(this.hashReceipt(receipt)), uint8(word[64]), r, s);
    }

    function _highS(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        uint256 n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        return abi.encodePacked(r, n - uint256(s), v == 27 ? uint8(28) : uint8(27));
    }

    /// An escrow and a registry of another token, the node registered, its owner's allowance given.
    function _use(address token) private {
        rndr = LegacyRndr(token);
        escrow = new RenderEscrow(token, issuer, guardian);
        registry = new NodeRegistry(address(escrow));
        _register();
        vm.prank(owner);
        // Whatever it returns.
        SilentCoin(token).approve(address(registry), BOND);
    }

    function _inexact(Coin coin, uint256 held, uint256 holds) private {
        _use(address(coin));
        coin.mint(owner, 100);
        _inexactBond(held, holds);
    }

    function _inexactBond(uint256 held, uint256 holds) private {
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_BondInexact.selector, 100, held, holds
            )
        );
        _bond(100);
    }

    function _sendFailed(address to, uint256 amount) private {
        _fails(abi.encodeWithSelector(INodeRegistry.NodeRegistry_SendFailed.selector, to, amount));
    }

    function _signerKnown() private {
        _fails(
            abi.encodeWithSelector(INodeRegistry.NodeRegistry_SignerKnown.selector, signer, owner)
        );
    }

    /// The guard's error, not a token's.
    function _wasRefused(ReentrantCoin coin) private view {
        vm.assertTrue(!coin.succeeded(), "re-entered");
        bytes32 wanted = keccak256(abi.encodeWithSignature("ReentrancyGuardReentrantCall()"));
        vm.assertEq(keccak256(coin.answer()), wanted, "refused by the guard");
    }
}
