// SPDX-License-Identifier: MIT OR Apache-2.0
// Legacy RNDR as published: empty revert data, allowances that always fall, holdInEscrow.
pragma solidity 0.8.37;

/// What legacy RNDR calls on its escrow after it moved the tokens there.
interface IFundJob {
    function fundJob(string calldata jobId, uint256 amount) external;
}

/// For test chains: anyone may mint, and the deployer points `escrowContractAddress` anywhere.
contract LegacyRndr {
    string public constant name = "Render Token";
    string public constant symbol = "RNDR";
    uint8 public constant decimals = 18;

    address public owner;
    address public escrowContractAddress;
    uint256 public totalSupply;
    mapping(address holder => uint256) public balanceOf;
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event TokensEscrowed(address indexed sender, string jobId, uint256 amount);

    constructor() {
        owner = msg.sender;
    }

    function mint(address to, uint256 amount) external {
        totalSupply += amount;
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function setEscrowContractAddress(address escrow) external {
        _require(msg.sender == owner && escrow != address(0));
        escrowContractAddress = escrow;
    }

    function transfer(address to, uint256 value) external virtual returns (bool) {
        _move(msg.sender, to, value);
        return true;
    }

    /// The allowance falls whatever its size, and no `Approval` says so.
    function transferFrom(address from, address to, uint256 value)
        external
        virtual
        returns (bool)
    {
        uint256 allowed = allowance[from][msg.sender];
        _require(value <= allowed);
        allowance[from][msg.sender] = allowed - value;
        _move(from, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        _setAllowance(spender, value);
        return true;
    }

    function increaseApproval(address spender, uint256 added) external returns (bool) {
        uint256 allowed = allowance[msg.sender][spender];
        _require(added <= type(uint256).max - allowed);
        _setAllowance(spender, allowed + added);
        return true;
    }

    function decreaseApproval(address spender, uint256 removed) external returns (bool) {
        uint256 allowed = allowance[msg.sender][spender];
        _setAllowance(spender, removed > allowed ? 0 : allowed - removed);
        return true;
    }

    function holdInEscrow(string calldata jobId, uint256 amount) external {
        _move(msg.sender, escrowContractAddress, amount);
        IFundJob(escrowContractAddress).fundJob(jobId, amount);
        emit TokensEscrowed(msg.sender, jobId, amount);
    }

    function _setAllowance(address spender, uint256 value) private {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
    }

    function _move(address from, address to, uint256 value) internal {
        _require(to != address(0) && value <= balanceOf[from]);
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }

    /// Solidity 0.4.24 had no messages here: a failure says nothing at all.
    function _require(bool condition) private pure {
        if (condition) return;
        assembly ("memory-safe") {
            revert(0, 0)
        }
    }
}
