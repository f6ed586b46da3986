# Active: the best pool has no room and is tried again and again, the second best has some. It is tried, too.
