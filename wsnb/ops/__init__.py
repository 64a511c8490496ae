"""Operations that several papers share, from class activation maps to random walks."""
