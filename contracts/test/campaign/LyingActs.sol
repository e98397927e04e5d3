// SPDX-License-Identifier: MIT OR Apache-2.0
// The same acts with a token that changes its mood: it refuses, lies and re-enters at random.
pragma solidity 0.8.37;

import {Order} from "../../src/Order.sol";
import {RenderEscrow} from "../../src/RenderEscrow.sol";
import {LegacyRndr} from "../doubles/LegacyRndr.sol";
import {MoodyRndr} from "../doubles/MoodyRndr.sol";
import {Campaign} from "./Campaign.sol";

abstract contract LyingActs is Campaign {
    uint256 private constant MOODS = 9;

    MoodyRndr internal moody;

    function _deploy() internal override {
        vm.warp(START);
        moody = new MoodyRndr();
        rndr = LegacyRndr(address(moody));
        escrow = new RenderEscrow(address(moody), issuer, guardian);
    }

    function selectors() public pure override returns (bytes4[] memory acts) {
        bytes4[] memory usual = _acts();
        acts = new bytes4[](usual.length + 4);
        for (uint256 i = 0; i < usual.length; ++i) {
            acts[i] = usual[i];
        }
        for (uint256 i = usual.length; i < acts.length; ++i) {
            acts[i] = this.changeMood.selector;
        }
    }

    /// How its next transfers go, and what it asks of the escrow in their middle.
    function changeMood(uint256 seed) external {
        seed = _mix(seed);
        MoodyRndr.Mood mood = MoodyRndr.Mood((seed >> 8) % MOODS);
        if (seed % 4 == 0) mood = MoodyRndr.Mood.Reenters;
        bool guarded = (seed >> 16) % 3 != 0;
        bytes memory question = guarded ? _guarded(seed >> 24) : _unguarded(seed >> 24);
        moody.setMood(mood, question, guarded);
        ++done[string.concat("mood ", vm.toString(uint256(mood)))];
    }

    /// Money that the token itself has: nothing but the guard could refuse it.
    function _guarded(uint256 seed) private returns (bytes memory) {
        uint256 way = seed % 6;
        if (way == 0) return abi.encodeCall(escrow.withdraw, (1, address(moody)));
        if (way == 1) return abi.encodeCall(escrow.burn, ());
        Order memory order = _order();
        order.payer = address(moody);
        order.salt = bytes32(seed);
        order.openBy = uint40(block.timestamp + 30 days);
        order.workDeadline = order.openBy;
        order.cap = 1;
        if (way == 2) return abi.encodeCall(escrow.open, (order));
        rndr.mint(address(moody), 1);
        vm.prank(address(moody));
        rndr.approve(address(escrow), 1);
        if (way == 3) return abi.encodeCall(escrow.deposit, (1));
        if (way == 4) return abi.encodeCall(escrow.depositFor, (stranger, 1));
        return abi.encodeCall(escrow.fundJob, (vm.toString(stranger), 1));
    }

    /// What anybody may do at any time, so also in the middle of a transfer.
    function _unguarded(uint256 seed) private view returns (bytes memory) {
        if (lotHashes.length == 0) return "";
        LotState memory lot = _anyLot(seed >> 8);
        Order memory order = jobs[lot.jobId].order;
        bytes32 key = lot.lot.keyCommit == 0 ? bytes32(0) : KEY;
        if (seed % 3 == 0) return abi.encodeCall(escrow.close, (order, "", ""));
        if (seed % 3 == 1) return abi.encodeCall(escrow.lapse, (order, lot.lot));
        return abi.encodeCall(escrow.settle, (order, _one(lot.lot), _keys(key)));
    }

    function _tokenMayRefuse() internal view override returns (bool) {
        return moody.mood() > MoodyRndr.Mood.Reenters;
    }

    function _afterCall() internal override {
        _must(moody.escaped() == 0, "I31: a guarded call got through in another's middle");
    }

    /// Once it is honest again everything leaves.
    function passLong() external override {
        moody.setMood(MoodyRndr.Mood.Honest, "", false);
        vm.warp(block.timestamp + 60 days);
    }
}
