//! Pages of lists: `?limit=` and `?cursor=`, where the cursor is the id of the last item shown.

use std::fmt::Display;
use std::str::FromStr;

use whimbrel_core::port::Page;

use crate::problem::{Answer, Problem};

/// Items on a page when the caller names no number.
const DEFAULT: u32 = 50;
/// Items on a page at most.
pub(crate) const MAX: u32 = 100;

/// A page that was asked for.
pub(crate) struct Asked<K> {
    limit: u32,
    after: Option<K>,
}

impl<K> Asked<K>
where
    K: FromStr,
    K::Err: Display,
{
    /// Checks what the query string gave; 400 with words when it will not do.
    pub(crate) fn try_new(limit: Option<u32>, cursor: Option<&str>) -> Answer<Self> {
        let limit = limit.unwrap_or(DEFAULT);
        if !(1..=MAX).contains(&limit) {
            return Err(Problem::bad_request(format!("limit is {limit}; it must lie between 1 and {MAX}")));
        }
        let after = cursor.map(str::parse).transpose().map_err(|error: K::Err| {
            Problem::bad_request(format!("cursor: {error}; send the next_cursor of an earlier page"))
        })?;
        Ok(Self { limit, after })
    }

    /// What to ask the store for: one item more than is shown, to know whether another page follows.
    pub(crate) fn request(&self) -> Page<K>
    where
        K: Clone,
    {
        Page { after: self.after.clone(), limit: self.limit + 1 }
    }

    /// The items to show, and the cursor of the next page if there is one.
    pub(crate) fn cut<T, I: Display>(&self, mut items: Vec<T>, id: impl Fn(&T) -> I) -> (Vec<T>, Option<String>) {
        let shown = self.limit as usize;
        let more = items.len() > shown;
        items.truncate(shown);
        let next = if more { items.last().map(|item| id(item).to_string()) } else { None };
        (items, next)
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::TenantId;

    use super::*;

    #[test]
    fn one_more_than_shown_tells_whether_a_page_follows() {
        let asked = Asked::<TenantId>::try_new(Some(2), None).expect("a page");
        assert_eq!(asked.request().limit, 3);
        assert_eq!(asked.cut(vec!["a", "b", "c"], |item| *item), (vec!["a", "b"], Some("b".into())));
        assert_eq!(asked.cut(vec!["a", "b"], |item| *item), (vec!["a", "b"], None));
        assert_eq!(asked.cut(Vec::<&str>::new(), |item| *item), (vec![], None));
    }

    #[test]
    fn limits_and_cursors_out_of_bounds_are_400() {
        for limit in [0, 101, u32::MAX] {
            assert_eq!(
                Asked::<TenantId>::try_new(Some(limit), None).err().map(|problem| problem.body.status),
                Some(400)
            );
        }
        assert_eq!(Asked::<TenantId>::try_new(None, Some("No")).err().map(|problem| problem.body.status), Some(400));
    }
}
