// SPDX-License-Identifier: MIT OR Apache-2.0
// The same promises with a token that refuses, lies and re-enters at random.
pragma solidity 0.8.37;

import {LyingActs} from "./campaign/LyingActs.sol";

// I1 to I30, whatever the token does, but for what `fundJob` takes its word for, and:
//
// I31 No call that moves tokens gets through in the middle of another; those that anybody may make
//     at any time do, and keep every promise.
// I32 A refused transfer, a short one or a long one leaves no trace; a token without return values
//     is as good as any.
contract LyingInvariantsTest is LyingActs {
    function invariant_EveryPromiseHoldsWithALyingToken() public view {
        _nothingBroken();
    }

    /// Proves that every mood comes, and that the acts still reach their paths.
    function test_ActsReachEveryPathWithALyingToken() public {
        _walk(6000);
        for (uint256 i = 0; i < 9; ++i) {
            _reached(string.concat("mood ", vm.toString(i)), 10);
        }
        _reached("deposit", 20);
        _reached("withdraw", 20);
        _reached("burn", 5);
        _reached("issueCredit", 5);
        _reached("open", 10);
        _reached("openFor", 10);
        _reached("settle", 10);
        _reached("redeem", 10);
        _reached("close", 10);
        vm.assertGe(moody.entered(), 1, "seldom done: a call in the middle of a transfer");
    }
}
