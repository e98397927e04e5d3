// SPDX-License-Identifier: MIT OR Apache-2.0
// The registry's state rebuilt from its events alone; the first broken promise is kept as a text.
pragma solidity 0.8.37;

import {INodeRegistry as I} from "../src/INodeRegistry.sol";
import {Receipt} from "../src/Order.sol";
import {Vm} from "./Vm.sol";

contract RegistryFold {
    struct State {
        address owner;
        address payout;
        bytes32 capabilitiesHash;
        uint256 bonded;
        uint256 unbonding;
        uint256 unbondAt;
        bool slashed;
        uint256 seq;
    }

    uint256 private constant DELAY = 45 days;

    string public broken;
    /// Who called the call that is folded.
    address private caller;
    address[] public signers;
    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public burned;
    mapping(address signer => State) private states;
    mapping(bytes32 topic => uint256) public seen;

    function count() external view returns (uint256) {
        return signers.length;
    }

    function stateOf(address signer) external view returns (State memory) {
        return states[signer];
    }

    /// Folds the events of one call of the registry.
    function fold(Vm.Log[] calldata logs, address registry, address caller_) external {
        caller = caller_;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == registry) _one(logs[i]);
        }
    }

    function _one(Vm.Log calldata log) private {
        bytes32 topic = log.topics[0];
        ++seen[topic];
        address signer = _address(log, 1);
        State storage s = states[signer];
        _must(s.seq != 0 || topic == I.Registered.selector, "an event before the registration");
        if (topic == I.Registered.selector) _registered(s, log);
        else if (topic == I.Updated.selector) _updated(s, log);
        else if (topic == I.Bonded.selector) _bonded(s, log);
        else if (topic == I.UnbondRequested.selector) _unbondRequested(s, log);
        else if (topic == I.BondWithdrawn.selector) _withdrawn(s, log);
        else if (topic == I.Slashed.selector) _slashed(s, log);
        else _must(false, "an unknown event");
    }

    function _registered(State storage s, Vm.Log calldata log) private {
        (address payout, bytes32 can, uint256 seq) =
            abi.decode(log.data, (address, bytes32, uint256));
        _must(s.owner == address(0), "N4: a signer registered twice");
        _must(_address(log, 2) == caller, "N4: registered for somebody else");
        signers.push(_address(log, 1));
        s.owner = _address(log, 2);
        (s.payout, s.capabilitiesHash) = (payout, can);
        _next(s, seq);
    }

    function _updated(State storage s, Vm.Log calldata log) private {
        (address payout, bytes32 can, uint256 seq) =
            abi.decode(log.data, (address, bytes32, uint256));
        _must(s.owner == caller, "N5: updated without the owner");
        (s.payout, s.capabilitiesHash) = (payout, can);
        _next(s, seq);
    }

    function _bonded(State storage s, Vm.Log calldata log) private {
        (uint256 amount, uint256 bonded, uint256 seq) =
            abi.decode(log.data, (uint256, uint256, uint256));
        _must(!s.slashed, "N6: a slashed signer took a bond");
        _must(_address(log, 2) == caller, "N5: somebody else's tokens");
        s.bonded += amount;
        paidIn += amount;
        _must(s.bonded == bonded, "N3: bonded after a bond");
        _next(s, seq);
    }

    function _unbondRequested(State storage s, Vm.Log calldata log) private {
        // amount, bonded, unbonding, unbondAt, seq
        uint256[5] memory f = abi.decode(log.data, (uint256[5]));
        _must(s.owner == caller, "N5: unbonded without the owner");
        _must(f[0] != 0 && f[0] <= s.bonded, "N5: unbonded more than there was");
        if (f[0] <= s.bonded) s.bonded -= f[0];
        s.unbonding += f[0];
        s.unbondAt = block.timestamp + DELAY;
        _must(s.bonded == f[1], "N3: bonded after a request");
        _must(s.unbonding == f[2], "N3: unbonding after a request");
        _must(s.unbondAt == f[3], "N7: another delay");
        _next(s, f[4]);
    }

    function _withdrawn(State storage s, Vm.Log calldata log) private {
        (uint256 amount, uint256 seq) = abi.decode(log.data, (uint256, uint256));
        _must(s.owner == caller, "N5: withdrawn without the owner");
        _must(!s.slashed, "N6: withdrawn after a slash");
        _must(amount == s.unbonding && amount != 0, "N3: withdrew another amount");
        _must(block.timestamp >= s.unbondAt, "N7: withdrawn before the delay was over");
        s.unbonding = 0;
        paidOut += amount;
        _next(s, seq);
    }

    function _slashed(State storage s, Vm.Log calldata log) private {
        (Receipt memory one,, Receipt memory two,, uint256 burnt, uint256 rewarded, uint256 seq) =
            abi.decode(log.data, (Receipt, bytes, Receipt, bytes, uint256, uint256, uint256));
        _must(!s.slashed, "N6: slashed twice");
        _must(one.outputHash != two.outputHash, "N6: slashed without a contradiction");
        _must(one.jobId == two.jobId && one.jobId == log.topics[3], "N6: two jobs");
        _must(one.unit == two.unit && one.attempt == two.attempt, "N6: two works");
        _must(burnt + rewarded == s.bonded + s.unbonding, "N3: slashed another amount");
        _must(burnt == rewarded || burnt == rewarded + 1, "N6: more than half rewarded");
        _must(_address(log, 2) == caller, "N6: rewarded somebody else");
        (s.bonded, s.unbonding, s.slashed) = (0, 0, true);
        burned += burnt;
        paidOut += burnt + rewarded;
        _next(s, seq);
    }

    function _next(State storage s, uint256 seq) private {
        _must(seq == ++s.seq, "N2: a node's sequence number");
    }

    function _address(Vm.Log calldata log, uint256 topic) private pure returns (address) {
        return address(uint160(uint256(log.topics[topic])));
    }

    /// Kept, not thrown: a revert here would undo the very call that broke the promise.
    function _must(bool kept, string memory promise_) private {
        if (!kept && bytes(broken).length == 0) broken = promise_;
    }
}
