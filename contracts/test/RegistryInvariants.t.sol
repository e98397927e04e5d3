// SPDX-License-Identifier: MIT OR Apache-2.0
// What stays true of the node registry whatever anybody does, in any order, at any time.
pragma solidity 0.8.37;

import {INodeRegistry} from "../src/INodeRegistry.sol";
import {RegistryActs} from "./RegistryActs.sol";

/// The acts catch what the registry refuses, so a revert is a fault of theirs.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: fast.invariant.fail-on-revert = true
contract RegistryInvariantsTest is RegistryActs {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(this), _acts());
    }

    /// All of them after each call; the last one puts back what it does.
    function invariant_EveryPromiseOfBondsHolds() public {
        _nothingBroken();
        _holdsTheBonds();
        _numbersHaveNoGaps();
        _eventsTellTheWholeState();
        _signersKeepTheirOwner();
        _nothingWithoutARight();
        _slashedSignersHaveNothing();
        _theDelayHolds();
        _everyBondHasAnExit();
    }

    /// N1: the registry holds all bonds, bonded or unbonding, and donations.
    function _holdsTheBonds() private view {
        uint256 owed = 0;
        for (uint256 i = 0; i < SIGNERS; ++i) {
            NodeState memory s = _state(_signerAt(i));
            owed += uint256(s.bonded) + s.unbonding;
        }
        uint256 held = rndr.balanceOf(address(registry));
        vm.assertEq(held, owed + donated, "N1: held, owed and donated");
        vm.assertEq(fold.paidIn() - fold.paidOut(), owed, "N1: paid in, paid out and owed");
        vm.assertEq(rndr.balanceOf(DEAD), fold.burned(), "N1: burned");
    }

    /// N2: a node's sequence number rises by exactly one per event.
    function _numbersHaveNoGaps() private view {
        for (uint256 i = 0; i < fold.count(); ++i) {
            address of_ = fold.signers(i);
            vm.assertEq(_state(of_).seq, fold.stateOf(of_).seq, "N2: seq");
        }
    }

    /// N3: what the events tell is what the storage holds.
    function _eventsTellTheWholeState() private view {
        for (uint256 i = 0; i < SIGNERS; ++i) {
            address of_ = _signerAt(i);
            vm.assertEq(
                keccak256(abi.encode(_state(of_))),
                keccak256(abi.encode(fold.stateOf(of_))),
                "N3: told and stored"
            );
        }
    }

    /// N4: a signer never changes its owner.
    function _signersKeepTheirOwner() private view {
        for (uint256 i = 0; i < SIGNERS; ++i) {
            address of_ = _signerAt(i);
            vm.assertEq(_state(of_).owner, firstOwner[of_], "N4: owner");
        }
    }

    /// N5: no path without the owner, whose consent it needs, and no slash without fraud.
    function _nothingWithoutARight() private view {
        vm.assertEq(intrusions, 0, "N5: calls without a right that succeeded");
        vm.assertEq(rndr.balanceOf(stranger), 0, "N5: a stranger's gain");
    }

    /// N6: a slashed signer has nothing, and never will.
    function _slashedSignersHaveNothing() private view {
        for (uint256 i = 0; i < SIGNERS; ++i) {
            NodeState memory s = _state(_signerAt(i));
            vm.assertTrue(!s.slashed || s.bonded + s.unbonding == 0, "N6: money of a cheat");
        }
    }

    /// N7: money leaves only after the delay: what is unbonding has a date that the fold knows,
    /// at most one delay from now.
    function _theDelayHolds() private view {
        for (uint256 i = 0; i < SIGNERS; ++i) {
            NodeState memory s = _state(_signerAt(i));
            vm.assertTrue(s.unbonding == 0 || s.unbondAt != 0, "N7: unbonding without a date");
            vm.assertLe(s.unbondAt, block.timestamp + DELAY, "N7: a date too far away");
        }
    }

    /// N8: every owner can take everything that was not slashed, after one delay.
    function _everyBondHasAnExit() private {
        uint256 before = vm.snapshotState();
        for (uint256 i = 0; i < SIGNERS; ++i) {
            address of_ = _signerAt(i);
            NodeState memory s = _state(of_);
            if (s.bonded == 0) continue;
            vm.prank(s.owner);
            registry.requestUnbond(of_, s.bonded);
        }
        vm.warp(block.timestamp + DELAY);
        for (uint256 i = 0; i < SIGNERS; ++i) {
            address of_ = _signerAt(i);
            NodeState memory s = _state(of_);
            if (s.unbonding == 0) continue;
            vm.prank(s.owner);
            registry.withdrawBond(of_, treasury);
        }
        uint256 held = rndr.balanceOf(address(registry));
        vm.assertEq(held, donated, "N8: what is left are donations");
        vm.revertToState(before);
    }

    /// A long fixed walk: proves that the acts above reach every path, not only refusals.
    function test_ActsReachEveryPath() public {
        bytes4[] memory acts = _acts();
        for (uint256 i = 0; i < 600; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 other = uint256(keccak256(abi.encode("amount", i)));
            bytes memory data = abi.encodePacked(acts[(seed >> 128) % acts.length], seed, other);
            (bool got,) = address(this).call(data);
            vm.assertTrue(got, "an act that reverted");
        }
        string[6] memory paths =
            ["register", "update", "bond", "requestUnbond", "withdrawBond", "slash"];
        for (uint256 i = 0; i < paths.length; ++i) {
            string memory missing = string.concat("never reached ", paths[i]);
            vm.assertGe(done[paths[i]], 1, missing);
        }
        vm.assertGe(fold.burned(), 1, "never burned");
        vm.assertGe(fold.seen(INodeRegistry.Slashed.selector), 2, "hardly slashed");
        invariant_EveryPromiseOfBondsHolds();
    }

    function _nothingBroken() private view {
        string memory broken = fold.broken();
        vm.assertTrue(bytes(broken).length == 0, broken);
    }

    function _acts() private pure returns (bytes4[] memory acts) {
        acts = new bytes4[](13);
        acts[0] = RegistryActs.register.selector;
        acts[1] = RegistryActs.update.selector;
        acts[2] = RegistryActs.bond.selector;
        acts[3] = RegistryActs.requestUnbond.selector;
        acts[4] = RegistryActs.withdrawBond.selector;
        acts[5] = RegistryActs.slash.selector;
        acts[6] = RegistryActs.slashTheInnocent.selector;
        acts[7] = RegistryActs.intrude.selector;
        acts[8] = RegistryActs.donate.selector;
        acts[9] = RegistryActs.pass.selector;
        acts[10] = RegistryActs.bond.selector;
        acts[11] = RegistryActs.requestUnbond.selector;
        acts[12] = RegistryActs.register.selector;
    }
}
