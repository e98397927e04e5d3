// SPDX-License-Identifier: MIT OR Apache-2.0
// What one campaign is: the acts it is made of, what is checked after each, what at the end.
pragma solidity 0.8.37;

import {Vm} from "../Vm.sol";
import {Acts} from "./Acts.sol";

abstract contract Campaign {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    Acts internal acts;

    /// forge prints it with `-vv`.
    // forge-lint: disable-next-line(mixed-case-variable)
    event log_named_uint(string name, uint256 value);

    function setUp() public {
        acts = _newActs();
        acts.setUp();
    }

    function _newActs() internal virtual returns (Acts);

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(acts);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(acts), acts.selectors());
    }

    /// After each call: none of the promises that the fold and the model watch is broken.
    function _nothingBroken() internal view {
        string memory broken = acts.broken();
        vm.assertTrue(bytes(broken).length == 0, broken);
    }

    /// At the end of each run: storage against events, then every exit.
    function afterInvariant() public {
        acts.checkStorage();
        acts.passLong();
        acts.walkOut();
        acts.checkStorage();
        _nothingBroken();
    }

    /// A fixed run, so that what it reaches is the same every time.
    function _walk(uint256 depth) internal {
        bytes4[] memory all = acts.selectors();
        for (uint256 i = 0; i < depth; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            uint256 other = uint256(keccak256(abi.encode("other", i)));
            bytes4 act = all[(seed >> 128) % all.length];
            (bool done,) = address(acts).call(abi.encodePacked(act, seed, other));
            vm.assertTrue(done, "an act that reverted by itself");
            _nothingBroken();
        }
        afterInvariant();
    }

    function _reached(string memory act, uint256 least) internal {
        uint256 done = acts.done(act);
        emit log_named_uint(string.concat("done ", act), done);
        emit log_named_uint(string.concat("refused ", act), acts.refused(act));
        vm.assertGe(done, least, string.concat("seldom done: ", act));
    }

    function _attempted(string memory act, uint256 least) internal {
        uint256 tried = acts.tried(act);
        emit log_named_uint(string.concat("tried ", act), tried);
        vm.assertGe(tried, least, string.concat("seldom tried: ", act));
    }
}
