// SPDX-License-Identifier: MIT OR Apache-2.0
// A token whose mood decides how a transfer goes: honest, refused, short, long, or with re-entry.
pragma solidity 0.8.37;

import {LegacyRndr} from "./LegacyRndr.sol";

/// `holdInEscrow` stays honest: there the escrow takes the token's word.
contract MoodyRndr is LegacyRndr {
    enum Mood {
        Honest,
        Silent,
        Reenters,
        Refuses,
        False,
        Nothing,
        Short,
        Long,
        Thieving
    }

    Mood public mood;
    bytes public question;
    bool public guarded;
    /// Calls out of a transfer that got through: none may of those that the guard is for.
    uint256 public escaped;
    uint256 public entered;
    bool private inside;

    function setMood(Mood mood_, bytes calldata question_, bool guarded_) external {
        (mood, question, guarded) = (mood_, question_, guarded_);
    }

    function transfer(address to, uint256 value) external override returns (bool) {
        return _moody(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value)
        external
        override
        returns (bool)
    {
        allowance[from][msg.sender] -= value;
        return _moody(from, to, value);
    }

    function _moody(address from, address to, uint256 value) private returns (bool) {
        Mood now_ = mood;
        if (now_ == Mood.Refuses) revert();
        if (now_ == Mood.False) return false;
        if (now_ == Mood.Reenters) _reenter();
        // Lies about the escrow's own tokens would rob it, which no escrow can help.
        bool comesIn = to == escrowContractAddress;
        if (comesIn && now_ == Mood.Nothing) return true;
        if (comesIn && now_ == Mood.Thieving) {
            balanceOf[to] /= 2;
            return true;
        }
        _move(from, to, value);
        if (comesIn && now_ == Mood.Short) balanceOf[to] -= 1;
        if (comesIn && now_ == Mood.Long) balanceOf[to] += 1;
        if (now_ == Mood.Silent) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }

    function _reenter() private {
        if (inside || question.length == 0) return;
        inside = true;
        (bool done,) = escrowContractAddress.call(question);
        inside = false;
        if (!done) return;
        if (guarded) ++escaped;
        else ++entered;
    }
}
