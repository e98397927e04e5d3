// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of the node registry: constructor, register, update, bonds, slash.
pragma solidity 0.8.37;

import {INodeRegistry} from "../src/INodeRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {Receipt} from "../src/Order.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// Says by EIP-5267 what it is told to say; a contract of zero means itself.
contract Claimant {
    bytes1 private fields;
    address private verifying;

    constructor(bytes1 fields_, address verifying_) {
        fields = fields_;
        verifying = verifying_ == address(0) ? address(this) : verifying_;
    }

    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (fields, "RenderEscrow", "1", block.chainid, verifying, "", new uint256[](0));
    }
}

contract RegistryTest is RegistryFixture {
    // ---- constructor ----

    function test_constructor_RefusesAnEscrowWithoutCode() public {
        _escrowRefused(stranger);
        new NodeRegistry(stranger);
    }

    function test_constructor_RefusesADomainOfAnotherContract() public {
        address claimant = address(new Claimant(0x0f, address(escrow)));
        _escrowRefused(claimant);
        new NodeRegistry(claimant);
    }

    function test_constructor_RefusesADomainOfOtherFields() public {
        address claimant = address(new Claimant(0x1f, address(0)));
        _escrowRefused(claimant);
        new NodeRegistry(claimant);
    }

    function test_constructor_TakesEscrowAndTokenAndNamesTheDomain() public view {
        vm.assertEq(registry.escrow(), address(escrow), "escrow");
        vm.assertEq(registry.token(), address(rndr), "token");
        vm.assertEq(registry.unbondDelay(), DELAY, "delay");
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chain,
            address there,,
        ) = registry.eip712Domain();
        vm.assertTrue(fields == 0x0f, "fields");
        vm.assertEq(keccak256(bytes(name)), keccak256("NodeRegistry"), "name");
        vm.assertEq(keccak256(bytes(version)), keccak256("1"), "version");
        vm.assertEq(chain, block.chainid, "chain");
        vm.assertEq(there, address(registry), "verifying contract");
    }

    // ---- register ----

    function test_register_RefusesAPayoutThatCanDoNothing() public {
        _accountRefused(address(0));
        registry.register(signer, address(0), CAN, "");
        _accountRefused(address(registry));
        registry.register(signer, address(registry), CAN, "");
        _accountRefused(address(escrow));
        registry.register(signer, address(escrow), CAN, "");
    }

    function test_register_RefusesASignerThatIsKnown() public {
        _register();
        _fails(
            abi.encodeWithSelector(INodeRegistry.NodeRegistry_SignerKnown.selector, signer, owner)
        );
        vm.prank(stranger);
        registry.register(signer, node, CAN, "");
    }

    function test_register_RefusesAnEmptySignatureEvenOfTheZeroSigner() public {
        _registrationRefused(_registration(owner, signer, node, CAN), signer);
        vm.prank(owner);
        registry.register(signer, node, CAN, "");
        _registrationRefused(_registration(owner, address(0), node, CAN), address(0));
        vm.prank(owner);
        registry.register(address(0), node, CAN, "");
    }

    function test_register_RefusesAnotherKeysSignature() public {
        bytes memory word = _consent(OTHER_KEY, owner, signer, node, CAN);
        _registrationRefused(_registration(owner, signer, node, CAN), signer);
        vm.prank(owner);
        registry.register(signer, node, CAN, word);
    }

    function test_register_KeepsOwnerPayoutAndCapabilities() public {
        bytes memory word = _consent(SIGNER_KEY, owner, signer, node, CAN);
        _tells();
        emit INodeRegistry.Registered(signer, owner, node, CAN, 1);
        vm.prank(owner);
        registry.register(signer, node, CAN, word);
        _checkNode(0, 0, 0, 1);
        NodeState memory s = _state(signer);
        vm.assertEq(s.payout, node, "payout");
        vm.assertEq(s.capabilitiesHash, CAN, "capabilities");
        vm.assertTrue(!s.slashed, "slashed");
    }

    // ---- update ----

    function test_update_RefusesAnUnknownSigner() public {
        _unknown(signer);
        registry.update(signer, node, CAN);
    }

    function test_update_RefusesACallerThatIsNotTheOwner() public {
        _register();
        _notOwner(signer);
        vm.prank(signer);
        registry.update(signer, otherNode, CAN);
    }

    function test_update_RefusesAPayoutThatCanDoNothing() public {
        _register();
        _accountRefused(address(0));
        vm.prank(owner);
        registry.update(signer, address(0), CAN);
    }

    function test_update_ReplacesPayoutAndCapabilities() public {
        _register();
        _tells();
        emit INodeRegistry.Updated(signer, otherNode, "new", 2);
        vm.prank(owner);
        registry.update(signer, otherNode, "new");
        _checkNode(0, 0, 0, 2);
        vm.assertEq(_state(signer).payout, otherNode, "payout");
        vm.assertEq(_state(signer).capabilitiesHash, "new", "capabilities");
    }

    // ---- bond ----

    function test_bond_RefusesAZeroAmount() public {
        _register();
        _amountZero();
        registry.bond(signer, 0);
    }

    function test_bond_RefusesAnUnknownSigner() public {
        _unknown(signer);
        vm.prank(owner);
        registry.bond(signer, 1);
    }

    function test_bond_RefusesASlashedSigner() public {
        _register();
        (Receipt memory first, Receipt memory second) = _pair();
        _slash(first, second);
        _barred();
        vm.prank(owner);
        registry.bond(signer, 1);
    }

    function test_bond_RefusesMoreThanTheAllowanceWithTheFigures() public {
        _register();
        vm.startPrank(owner);
        rndr.approve(address(registry), 6);
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_PullFailed.selector, owner, 7, WEALTH, 6
            )
        );
        registry.bond(signer, 7);
        vm.stopPrank();
    }

    function test_bond_RefusesWhatWouldPass96BitsInAll() public {
        _register();
        _bond(1);
        rndr.mint(owner, type(uint96).max);
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_BalanceTooLarge.selector, uint256(2) ** 96
            )
        );
        _bond(type(uint96).max);
    }

    function test_bond_TakesTheCallersTokensAndCounts() public {
        _register();
        _tells();
        emit INodeRegistry.Bonded(signer, owner, 30, 30, 2);
        _bond(30);
        _endow(stranger);
        _tells();
        emit INodeRegistry.Bonded(signer, stranger, 12, 42, 3);
        vm.prank(stranger);
        registry.bond(signer, 12);
        _checkNode(42, 0, 0, 3);
        vm.assertEq(rndr.balanceOf(owner), WEALTH - 30, "the owner's tokens");
        vm.assertEq(rndr.balanceOf(stranger), WEALTH - 12, "the sponsor's tokens");
    }

    function testFuzz_bond_TakesExactly(uint96 amount) public {
        vm.assume(amount != 0);
        rndr.mint(owner, amount);
        _register();
        _bond(amount);
        _checkNode(amount, 0, 0, 2);
    }

    // ---- requestUnbond ----

    function test_requestUnbond_RefusesAnUnknownSigner() public {
        _unknown(signer);
        _unbond(1);
    }

    function test_requestUnbond_RefusesACallerThatIsNotTheOwner() public {
        _register();
        _bond(BOND);
        _notOwner(stranger);
        vm.prank(stranger);
        registry.requestUnbond(signer, 1);
    }

    function test_requestUnbond_RefusesAZeroAmount() public {
        _register();
        _amountZero();
        _unbond(0);
    }

    function test_requestUnbond_RefusesMoreThanIsBonded() public {
        _register();
        _bond(BOND);
        _unbond(1);
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_BondTooLow.selector, signer, BOND, BOND - 1
            )
        );
        _unbond(BOND);
    }

    function test_requestUnbond_MovesMoneyAndStartsTheDelay() public {
        _register();
        _bond(BOND);
        _tells();
        emit INodeRegistry.UnbondRequested(signer, 40, 61, 40, uint40(START + DELAY), 3);
        _unbond(40);
        _checkNode(61, 40, START + DELAY, 3);
    }

    function test_requestUnbond_StartsTheDelayOfAllAgain() public {
        _register();
        _bond(BOND);
        _unbond(40);
        vm.warp(START + DELAY + 5);
        _tells();
        emit INodeRegistry.UnbondRequested(signer, 1, 60, 41, uint40(START + 2 * DELAY + 5), 4);
        _unbond(1);
        _checkNode(60, 41, START + 2 * DELAY + 5, 4);
    }

    // ---- withdrawBond ----

    function test_withdrawBond_RefusesAnUnknownSigner() public {
        _unknown(signer);
        registry.withdrawBond(signer, stranger);
    }

    function test_withdrawBond_RefusesACallerThatIsNotTheOwner() public {
        _register();
        _notOwner(stranger);
        vm.prank(stranger);
        registry.withdrawBond(signer, stranger);
    }

    function test_withdrawBond_RefusesAnAccountThatCanDoNothing() public {
        _register();
        vm.startPrank(owner);
        _accountRefused(address(0));
        registry.withdrawBond(signer, address(0));
        _accountRefused(address(registry));
        registry.withdrawBond(signer, address(registry));
        _accountRefused(address(escrow));
        registry.withdrawBond(signer, address(escrow));
        vm.stopPrank();
    }

    function test_withdrawBond_RefusesWhenNothingIsUnbonding() public {
        _register();
        _bond(BOND);
        _fails(
            abi.encodeWithSelector(INodeRegistry.NodeRegistry_NothingUnbonding.selector, signer)
        );
        vm.prank(owner);
        registry.withdrawBond(signer, treasury);
    }

    function test_withdrawBond_RefusesBeforeTheDelayIsOver() public {
        _register();
        _bond(BOND);
        _unbond(40);
        vm.warp(START + DELAY - 1);
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_TooEarly.selector,
                signer,
                START + DELAY,
                START + DELAY - 1
            )
        );
        vm.prank(owner);
        registry.withdrawBond(signer, treasury);
    }

    function test_withdrawBond_SendsWhatWasUnbondingAndNoMore() public {
        _register();
        _bond(BOND);
        _unbond(40);
        vm.warp(START + DELAY);
        _tells();
        emit INodeRegistry.BondWithdrawn(signer, treasury, 40, 4);
        vm.prank(owner);
        registry.withdrawBond(signer, treasury);
        _checkNode(61, 0, START + DELAY, 4);
        vm.assertEq(rndr.balanceOf(treasury), 40, "tokens sent");
    }

    // ---- slash ----

    function test_slash_RefusesReceiptsOfTwoJobs() public {
        (Receipt memory first, Receipt memory second) = _pair();
        second.jobId = "other";
        _worksDiffer(first, second);
    }

    function test_slash_RefusesReceiptsOfTwoUnits() public {
        (Receipt memory first, Receipt memory second) = _pair();
        second.unit = 8;
        _worksDiffer(first, second);
    }

    function test_slash_RefusesReceiptsOfTwoAttempts() public {
        (Receipt memory first, Receipt memory second) = _pair();
        second.attempt = 3;
        _worksDiffer(first, second);
    }

    function test_slash_RefusesReceiptsOfOneOutput() public {
        (Receipt memory first, Receipt memory second) = (_receipt("one"), _receipt("one"));
        second.previewHash = "other";
        second.keyCommit = "other";
        second.finishedAt += 1;
        _register();
        _fails(
            abi.encodeWithSelector(
                INodeRegistry.NodeRegistry_OutputsEqual.selector, bytes32("one")
            )
        );
        this.slashBy(SIGNER_KEY, first, SIGNER_KEY, second);
    }

    function test_slash_RefusesASignatureThatIsNone() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        bytes memory word = _receiptBy(SIGNER_KEY, first);
        _receiptRefused(first);
        registry.slash(first, "", second, word);
        _receiptRefused(second);
        registry.slash(first, word, second, "");
    }

    function test_slash_RefusesReceiptsOfTwoSigners() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        _signersDiffer(signer, vm.addr(OTHER_KEY));
        this.slashBy(SIGNER_KEY, first, OTHER_KEY, second);
    }

    function test_slash_RefusesASignerThatIsNotRegistered() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _unknown(signer);
        this.slashBy(SIGNER_KEY, first, SIGNER_KEY, second);
    }

    function test_slash_RefusesASecondTime() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        _bond(BOND);
        _slash(first, second);
        _barred();
        this.slashBy(SIGNER_KEY, first, SIGNER_KEY, second);
    }

    function test_slash_BurnsHalfAndTheOddUnitAndRewardsTheReporter() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        _bond(BOND);
        _unbond(40);
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _receiptBy(SIGNER_KEY, second);
        _tells();
        emit INodeRegistry.Slashed(
            signer, stranger, first.jobId, first, one, second, two, 51, 50, 4
        );
        vm.prank(stranger);
        registry.slash(first, one, second, two);
        _checkNode(0, 0, START + DELAY, 4);
        vm.assertTrue(_state(signer).slashed, "slashed");
        vm.assertEq(rndr.balanceOf(DEAD), 51, "burned");
        vm.assertEq(rndr.balanceOf(stranger), 50, "rewarded");
    }

    function test_slash_BurnsASingleUnit() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        _bond(1);
        vm.prank(stranger);
        registry.slash(
            first, _receiptBy(SIGNER_KEY, first), second, _receiptBy(SIGNER_KEY, second)
        );
        _checkNode(0, 0, 0, 3);
        vm.assertEq(rndr.balanceOf(DEAD), 1, "burned");
        vm.assertEq(rndr.balanceOf(stranger), 0, "rewarded");
    }

    function test_slash_BarsASignerWithoutABond() public {
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        _slash(first, second);
        _checkNode(0, 0, 0, 2);
        vm.assertTrue(_state(signer).slashed, "slashed");
        vm.assertEq(rndr.balanceOf(DEAD), 0, "burned");
    }

    function testFuzz_slash_TakesAllOfIt(uint96 bonded, uint96 unbonding) public {
        vm.assume(bonded != 0);
        unbonding = 1 + unbonding % bonded;
        rndr.mint(owner, bonded);
        (Receipt memory first, Receipt memory second) = _pair();
        _register();
        _bond(bonded);
        _unbond(unbonding);
        _slash(first, second);
        _checkNode(0, 0, START + DELAY, 4);
        vm.assertEq(rndr.balanceOf(DEAD), uint256(bonded) - bonded / 2, "burned");
        vm.assertEq(rndr.balanceOf(address(this)), bonded / 2, "rewarded");
    }

    /// Signs before the call that is expected to fail.
    function slashBy(uint256 oneKey, Receipt memory first, uint256 otherKey, Receipt memory second)
        external
    {
        registry.slash(first, _receiptBy(oneKey, first), second, _receiptBy(otherKey, second));
    }

    function _worksDiffer(Receipt memory first, Receipt memory second) private {
        _register();
        bytes memory one = _receiptBy(SIGNER_KEY, first);
        bytes memory two = _receiptBy(SIGNER_KEY, second);
        _fails(
            abi.encodeWithSelector(INodeRegistry.NodeRegistry_WorksDiffer.selector, first, second)
        );
        registry.slash(first, one, second, two);
    }

    function _escrowRefused(address escrow_) private {
        _fails(abi.encodeWithSelector(INodeRegistry.NodeRegistry_EscrowRefused.selector, escrow_));
    }
}
