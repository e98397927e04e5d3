// SPDX-License-Identifier: MIT OR Apache-2.0
// What one campaign is: the acts it is made of, what is checked after each, what at the end.
pragma solidity 0.8.37;

import {Acts} from "./Acts.sol";

abstract contract Campaign is Acts {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// forge prints it with `-vv`.
    // forge-lint: disable-next-line(mixed-case-variable)
    event log_named_uint(string name, uint256 value);

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(this), selectors());
    }

    /// After each call: none of the promises that the fold and the model watch is broken.
    function _nothingBroken() internal view {
        vm.assertTrue(bytes(broken).length == 0, broken);
    }

    /// At the end of each run: storage against events, then every exit. By calls, so that each
    /// reads the new time.
    function afterInvariant() public {
        this.checkStorage();
        this.passLong();
        this.walkOut();
        this.checkStorage();
        _nothingBroken();
    }

    /// A fixed run, so that what it reaches is the same every time.
    function _walk(uint256 depth) internal {
        bytes4[] memory all = selectors();
        for (uint256 i = 0; i < depth; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 other = uint256(keccak256(abi.encode("other", i)));
            bytes4 act = all[(seed >> 128) % all.length];
            (bool succeeded,) = address(this).call(abi.encodePacked(act, seed, other));
            vm.assertTrue(succeeded, "an act that reverted by itself");
            _nothingBroken();
        }
        afterInvariant();
    }

    function _reached(string memory act, uint256 least) internal {
        emit log_named_uint(string.concat("done ", act), done[act]);
        emit log_named_uint(string.concat("refused ", act), refused[act]);
        vm.assertGe(done[act], least, string.concat("seldom done: ", act));
    }

    function _attempted(string memory act, uint256 least) internal {
        emit log_named_uint(string.concat("tried ", act), tried[act]);
        vm.assertGe(tried[act], least, string.concat("seldom tried: ", act));
    }
}
