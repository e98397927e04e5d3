// SPDX-License-Identifier: MIT OR Apache-2.0
// Tokens that break what the escrow assumes: fees, silence, lies, re-entry, pauses, twins.
pragma solidity 0.8.37;

/// An honest token that the others change in one place each.
contract Coin {
    mapping(address holder => uint256) public balanceOf;
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount)
        external
        virtual
        returns (bool)
    {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Keeps 1 % of each transfer.
contract FeeCoin is Coin {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        balanceOf[to] -= amount / 100;
    }
}

/// Gives one unit more than was sent.
contract GenerousCoin is Coin {
    function _move(address from, address to, uint256 amount) internal override {
        super._move(from, to, amount);
        balanceOf[to] += 1;
    }
}

/// Takes the receiver's money instead of giving any.
contract ThievingCoin is Coin {
    function _move(address, address to, uint256) internal override {
        balanceOf[to] /= 2;
    }
}

/// Returns false and moves nothing; honest while it is told to be.
contract FalseCoin is Coin {
    bool public honest;

    function setHonest(bool is_) external {
        honest = is_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (honest) _move(msg.sender, to, amount);
        return honest;
    }

    function transferFrom(address from, address to, uint256 amount)
        external
        override
        returns (bool)
    {
        if (honest) _move(from, to, amount);
        return honest;
    }
}

/// Moves, and returns nothing at all, as USDT does.
contract SilentCoin {
    mapping(address holder => uint256) public balanceOf;
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Calls `target` in the middle of each transfer, and keeps the answer.
contract ReentrantCoin is Coin {
    address public target;
    bytes public question;
    bool public succeeded;
    bytes public answer;

    function arm(address target_, bytes calldata question_) external {
        (target, question) = (target_, question_);
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (target != address(0)) (succeeded, answer) = target.call(question);
        super._move(from, to, amount);
    }
}

/// Pauses, and blocks single holders.
contract GuardedCoin is Coin {
    error Paused();
    error Blocked(address holder);

    bool public paused;
    mapping(address holder => bool) public blocked;

    function setPaused(bool is_) external {
        paused = is_;
    }

    function setBlocked(address holder, bool is_) external {
        blocked[holder] = is_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (paused) revert Paused();
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        super._move(from, to, amount);
    }
}

/// Takes part of anybody's balance away.
contract ShrinkingCoin is Coin {
    function shrink(address holder, uint256 by) external {
        balanceOf[holder] -= by;
    }
}

/// Takes any EIP-3009 authorization, unread, and moves `moves` whatever it says.
contract LooseCoin is Coin {
    uint256 public moves;

    function setMoves(uint256 moves_) external {
        moves = moves_;
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        _move(from, to, moves);
    }
}

/// Its balances can also be moved through a second address.
contract TwinCoin is Coin {
    SideDoor public immutable door = new SideDoor(this);

    function moveThrough(address from, address to, uint256 amount) external {
        require(msg.sender == address(door), "not the side door");
        _move(from, to, amount);
    }
}

/// The second address of `TwinCoin`.
contract SideDoor {
    TwinCoin private immutable _coin;

    constructor(TwinCoin coin) {
        _coin = coin;
    }

    function balanceOf(address holder) external view returns (uint256) {
        return _coin.balanceOf(holder);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _coin.moveThrough(msg.sender, to, amount);
        return true;
    }
}
