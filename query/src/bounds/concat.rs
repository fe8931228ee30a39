//! [`Concat`]: `a || b` of texts as a function, so that it can be bounded like any other.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// NULL where either side is. What is no text is written as one, as long as the other side is text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concat {
    signature: Signature,
}

impl Concat {
    pub(super) const NAME: &'static str = "||";

    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let [left, right] = types else { return plan_err!("|| wants two sides") };
        // A dictionary's values are text as well.
        let plain = |one: &DataType| {
            if let DataType::Dictionary(_, values) = one {
                return DataType::clone(values);
            }
            one.clone()
        };
        let (left, right) = (plain(left), plain(right));
        if !is_text(&left) && !is_text(&right) {
            return plan_err!("|| wants texts or lists, found {left} and {right}");
        }
        let is_large = left == DataType::LargeUtf8 || right == DataType::LargeUtf8;
        let text = if is_large { DataType::LargeUtf8 } else { DataType::Utf8 };
        Ok(vec![text.clone(), text])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        let is_large = types.contains(&DataType::LargeUtf8);
        Ok(if is_large { DataType::LargeUtf8 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let sides = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = sides.as_slice() else { return plan_err!("|| wants two sides") };
        assert!(is_constant || left.len() == rows, "arguments are as long as the batch");
        let text = args.return_type();
        let (left, right) = (cast(left, text)?, cast(right, text)?);
        let joined: ArrayRef = if *text == DataType::LargeUtf8 {
            Arc::new(concat_elements_utf8::<i64>(left.as_string(), right.as_string())?)
        } else {
            Arc::new(concat_elements_utf8::<i32>(left.as_string(), right.as_string())?)
        };
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(joined))
    }
}
