// SPDX-License-Identifier: MIT OR Apache-2.0
// The same promises while jobs are paid by plain transfers to their vaults too.
pragma solidity 0.8.37;

import {VaultActs} from "./campaign/VaultActs.sol";

// I1 to I30, and:
//
// I13 What came to a vault is there, in its job, or with `refundTo`, and after its dates anyone
//     moves all of it there; `Funding` holds nothing but gifts between calls.
contract FundingInvariantsTest is VaultActs {
    function invariant_EveryPromiseHoldsWithVaults() public view {
        _nothingBroken();
    }

    /// Proves that vaults open, are paid late, and are rescued.
    function test_ActsReachEveryPathOfVaults() public {
        _walk(4000);
        _reached("plan", 20);
        _reached("transfer to a vault", 50);
        _reached("depositFor a vault", 20);
        _reached("openFromVault", 5);
        _reached("open beside a vault", 3);
        _reached("rescueVault", 20);
    }
}
